// Juju's goose, which finds the compute address in the version list at the endpoint's root, and has
// two slashes before each path: goose TASK SEEN.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"gopkg.in/goose.v1/client"
	"gopkg.in/goose.v1/errors"
	"gopkg.in/goose.v1/glance"
	"gopkg.in/goose.v1/identity"
)

type seen map[string]interface{}

type task struct {
	Show    []string `json:"show"`
	Unknown string   `json:"unknown"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%T: %v\n", err, err)
		os.Exit(1)
	}
}

func report(step string, what seen) {
	what["step"] = step
	line, err := json.Marshal(what)
	check(err)
	file, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(err)
	defer file.Close()
	_, err = file.Write(append(line, '\n'))
	check(err)
}

func connect() *glance.Client {
	credentials, err := identity.CompleteCredentialsFromEnv()
	check(err)
	authenticated := client.NewClient(credentials, identity.AuthUserPass, nil)
	authenticated.SetRequiredServiceTypes([]string{"compute"})
	check(authenticated.Authenticate())
	return glance.New(authenticated)
}

func image(found glance.ImageDetail) seen {
	return seen{
		"id": found.Id, "name": found.Name, "status": found.Status,
		"created": found.Created, "updated": found.Updated, "progress": found.Progress,
		"minDisk": found.MinimumDisk, "minRam": found.MinimumRAM, "links": links(found.Links),
	}
}

func links(found []glance.Link) []seen {
	all := []seen{}
	for _, one := range found {
		all = append(all, seen{"rel": one.Rel, "href": one.Href})
	}
	return all
}

func main() {
	var todo task
	text, err := os.ReadFile(os.Args[1])
	check(err)
	check(json.Unmarshal(text, &todo))
	images := connect()

	all := []seen{}
	details, err := images.ListImagesDetail()
	check(err)
	for _, one := range details {
		all = append(all, image(one))
	}
	report("list", seen{"images": all})

	brief := []seen{}
	short, err := images.ListImages()
	check(err)
	for _, one := range short {
		brief = append(brief, seen{"id": one.Id, "name": one.Name, "links": links(one.Links)})
	}
	report("brief", seen{"images": brief})

	shown := []seen{}
	for _, id := range todo.Show {
		one, err := images.GetImageDetail(id)
		check(err)
		shown = append(shown, image(*one))
	}
	report("show", seen{"images": shown})
	_, err = images.GetImageDetail(todo.Unknown)
	report("missing", seen{"error": fmt.Sprint("not found: ", errors.IsNotFound(err))})
}
