// Package images tests a client in Go: start the fake cloud, then run `go test ./...`.
package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"testing"
)

type object map[string]any

func cloud() string {
	if url := os.Getenv("LEGACY_CLOUD_URL"); url != "" {
		return url
	}
	return "http://127.0.0.1:8774"
}

// The client under test.

type client struct{ compute, token string }

func login(t *testing.T) client {
	domain := object{"name": "Default"}
	user := object{"name": "demo", "password": "demo", "domain": domain}
	identity := object{"methods": []string{"password"}, "password": object{"user": user}}
	scope := object{"project": object{"name": "demo", "domain": domain}}
	var body struct {
		Token struct {
			Catalog []struct {
				Type      string
				Endpoints []struct{ Interface, URL string }
			}
		}
	}
	auth := object{"auth": object{"identity": identity, "scope": scope}}
	header := send(t, "POST", "/identity/v3/auth/tokens", auth, &body)
	for _, service := range body.Token.Catalog {
		for _, endpoint := range service.Endpoints {
			if service.Type == "compute" && endpoint.Interface == "public" {
				return client{endpoint.URL, header.Get("X-Subject-Token")}
			}
		}
	}
	t.Fatal("the catalog has no public compute endpoint")
	return client{}
}

func (c client) imageNames() ([]string, error) {
	for retries := 2; ; retries-- {
		request, err := http.NewRequest("GET", c.compute+"/images", nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("X-Auth-Token", c.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode == http.StatusServiceUnavailable && retries > 0 {
			continue
		}
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("list of images: %s", response.Status)
		}
		var body struct{ Images []struct{ Name string } }
		if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
			return nil, err
		}
		names := []string{}
		for _, image := range body.Images {
			names = append(names, image.Name)
		}
		return names, nil
	}
}

// The fake cloud.

func send(t *testing.T, method, path string, content, result any) http.Header {
	t.Helper()
	body, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, cloud()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if result != nil {
		if err := json.NewDecoder(response.Body).Decode(result); err != nil {
			t.Fatal(err)
		}
	}
	return response.Header
}

func TestANewImageIsListed(t *testing.T) {
	send(t, "POST", "/_fake/reset", object{}, nil)
	send(t, "POST", "/_fake/images", object{"name": "debian-12", "owner": "demo"}, nil)
	names, err := login(t).imageNames()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "debian-12" {
			return
		}
	}
	t.Fatalf("debian-12 is not in %v", names)
}

func TestTheClientRetriesWhileTheServiceIsUnavailable(t *testing.T) {
	send(t, "POST", "/_fake/reset", object{}, nil)
	rule := object{"path": "/v2/*", "status": 503, "retry_after": 0, "times": 2}
	send(t, "POST", "/_fake/rules", rule, nil)
	if _, err := login(t).imageNames(); err != nil {
		t.Fatal(err)
	}
	var seen struct {
		Requests []struct {
			Path   string
			Status int
		}
	}
	send(t, "GET", "/_fake/requests", nil, &seen)
	statuses := []int{}
	for _, each := range seen.Requests {
		if each.Path == "/v2/demo/images" {
			statuses = append(statuses, each.Status)
		}
	}
	if want := []int{503, 503, 200}; !reflect.DeepEqual(want, statuses) {
		t.Fatalf("want %v, got %v", want, statuses)
	}
}
