package ecs

import (
	"errors"
	"fmt"
	"net/url"
)

// Enterprise projects that have no id of their own.
const (
	DefaultEnterpriseProject = "0"
	AllEnterpriseProjects    = "all_granted_eps" // in which the credentials have rights
)

// CheckEnterpriseProject tells whether the text names an enterprise project. Empty names none and is right.
func CheckEnterpriseProject(id string) error {
	if id == "" || id == DefaultEnterpriseProject || id == AllEnterpriseProjects || isUUID(id) {
		return nil
	}
	return fmt.Errorf("enterprise project %q is not a UUID, %s (the default one) or %s", shown(id), DefaultEnterpriseProject, AllEnterpriseProjects)
}

// EnterpriseProject is the one that the lists are narrowed to, "" for none.
func (c *Client) EnterpriseProject() string { return c.enterprise }

// narrowed adds the enterprise project to the query of a list.
func (c *Client) narrowed(query url.Values) url.Values {
	if c.enterprise != "" {
		query.Set("enterprise_project_id", c.enterprise)
	}
	return query
}

// listImages lists in the enterprise project and, if nothing is there, without one: public and shared images may be in
// none. Credentials that may not do the latter have seen all that they may see.
func (c *Client) listImages(list func(*Client) ([]Image, error)) ([]Image, error) {
	found, err := list(c)
	if err != nil || len(found) > 0 || c.enterprise == "" {
		return found, err
	}
	wider := *c
	wider.enterprise = ""
	found, err = list(&wider)
	if refused, ok := errors.AsType[*Error](err); ok && refused.Unpermitted() {
		return nil, nil
	}
	return found, err
}
