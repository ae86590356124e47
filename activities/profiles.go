package activities

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// Profile is one project of one cloud, as a worker serves it. Its name is how rollouts and commands choose it;
// from then on everything goes by the id of the project.
type Profile struct {
	Name  string
	Cloud *ecs.Client
	// Edition is what the documents of that cloud say. The zero value restricts nothing.
	Edition rollout.Edition
}

// site is the worker's activities at one project.
type site struct {
	*Activities
	Profile
}

// at is find for work that is under way. That of another project is handed back: a server of that one would look
// as if it were gone, and another worker of the queue may serve it.
func (a *Activities) at(project string) (site, error) {
	s, err := a.find(project)
	if err != nil {
		return s, again(ErrNotReady, err, 0)
	}
	return s, nil
}

// find is the site of a project. An empty project means the only one served.
func (a *Activities) find(project string) (site, error) {
	for _, p := range a.Profiles {
		if p.Cloud.ProjectID() == project || project == "" && len(a.Profiles) == 1 {
			return site{a, p}, nil
		}
	}
	var served []string
	for _, p := range a.Profiles {
		served = append(served, "project "+p.Cloud.ProjectID())
	}
	return site{}, fmt.Errorf("this worker serves %s, not project %s: use the task queue of workers that serve it, all of them", strings.Join(served, " and "), project)
}

// DefaultProfile is the name of the profile that is meant where none is named.
const DefaultProfile = "default"

// chosen is the site of a profile. Without a name it is the only one, or the one called default.
func (a *Activities) chosen(profile string) (site, error) {
	for _, p := range a.Profiles {
		if p.Name == profile || profile == "" && (len(a.Profiles) == 1 || p.Name == DefaultProfile) {
			return site{a, p}, nil
		}
	}
	if profile == "" {
		return site{}, fmt.Errorf("no profile is named, and the workers have several: name one of %s", a.profileNames())
	}
	return site{}, fmt.Errorf("profile %q is not one of the workers' (docs/configuration.md): name one of %s", profile, a.profileNames())
}

func (a *Activities) profileNames() string {
	var names []string
	for _, p := range a.Profiles {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
