// gophercloud's compute/v2/images: gophercloud TASK SEEN.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/images"
	"github.com/gophercloud/gophercloud/pagination"
)

type seen map[string]interface{}

type task struct {
	Show     []string `json:"show"`
	Unknown  string   `json:"unknown"`
	Delete   string   `json:"delete"`
	PageSize int      `json:"page_size"`
	Name     string   `json:"name"`
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

func connect() *gophercloud.ServiceClient {
	options, err := openstack.AuthOptionsFromEnv()
	check(err)
	provider, err := openstack.AuthenticatedClient(options)
	check(err)
	where := gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")}
	client, err := openstack.NewComputeV2(provider, where)
	check(err)
	return client
}

func image(found images.Image) seen {
	return seen{
		"id": found.ID, "name": found.Name, "status": found.Status,
		"created": found.Created, "updated": found.Updated,
		"minDisk": found.MinDisk, "minRam": found.MinRAM,
		"progress": found.Progress, "metadata": found.Metadata,
	}
}

// list follows images_links, and returns the images, their ids, and how many pages they came in.
func list(client *gophercloud.ServiceClient, query images.ListOpts) ([]seen, []string, int) {
	all, ids, pages := []seen{}, []string{}, 0
	check(images.ListDetail(client, query).EachPage(func(page pagination.Page) (bool, error) {
		pages++
		found, err := images.ExtractImages(page)
		for _, one := range found {
			all, ids = append(all, image(one)), append(ids, one.ID)
		}
		return true, err
	}))
	return all, ids, pages
}

func show(client *gophercloud.ServiceClient, id string) seen {
	found, err := images.Get(client, id).Extract()
	check(err)
	return image(*found)
}

func main() {
	var todo task
	text, err := os.ReadFile(os.Args[1])
	check(err)
	check(json.Unmarshal(text, &todo))
	client := connect()

	all, _, _ := list(client, images.ListOpts{})
	report("list", seen{"images": all})
	_, ids, pages := list(client, images.ListOpts{Limit: todo.PageSize})
	report("page", seen{"ids": ids, "calls": pages})
	active := images.ListOpts{Status: "ACTIVE", ChangesSince: "2001-01-01T00:00:00Z"}
	_, ids, _ = list(client, active)
	report("filter", seen{"by": seen{"status": "ACTIVE"}, "ids": ids})
	_, ids, _ = list(client, images.ListOpts{Name: todo.Name})
	report("filter", seen{"by": seen{"name": todo.Name}, "ids": ids})

	shown := []seen{}
	for _, id := range todo.Show {
		shown = append(shown, show(client, id))
	}
	report("show", seen{"images": shown})
	_, err = images.Get(client, todo.Unknown).Extract()
	refusal, _ := err.(gophercloud.ErrDefault404)
	report("missing", seen{"error": fmt.Sprintf("%T %d: %s", err, refusal.Actual, refusal.Body)})

	check(images.Delete(client, todo.Delete).ExtractErr())
	_, ids, _ = list(client, images.ListOpts{})
	report("delete", seen{"left": ids})
}
