package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/api"
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
	// Source says where the worker has the credentials from: "access key of HW_ACCESS_KEY".
	Source string
}

// site is the worker's activities at one project.
type site struct {
	*Activities
	Profile
}

// at is find for work that is under way. That of another project is handed back: a server of that one would look
// as if it were gone, and another worker of the queue may serve it. So is that of a project which cannot be found out.
func (a *Activities) at(ctx context.Context, project string, change rollout.Change) (site, error) {
	ctx, end := untilStop(ctx)
	defer end()
	s, err := a.find(ctx, project)
	switch {
	case isTrouble(err):
		return s, s.readError(ctx, err)
	case err != nil:
		return s, again(api.ErrNotReady, err, 0)
	}
	return s.about(change), nil
}

// about is the site for calls about a server that is sent the change. The cloud may repeat its secrets in whatever it writes of
// the server or its job afterwards, and an error gets into the history and the log.
func (s site) about(change rollout.Change) site {
	if change.HasSecrets() {
		s.Cloud = s.Cloud.WithoutText()
	}
	return s
}

// find is the site of a project. An empty project means the only one served. Only when no profile is known to be of
// that project, those are asked of which nothing is known yet. One that does not tell may be the one: then the error is
// trouble, and the site is that of the profile.
func (a *Activities) find(ctx context.Context, project string) (site, error) {
	for _, p := range a.Profiles {
		if id := p.Cloud.ProjectID(); id != "" && id == project {
			return site{a, p}, nil
		}
	}
	var silent site
	var trouble error
	var served []string
	for _, p := range a.Profiles {
		if err := p.resolveProject(ctx); err != nil {
			if trouble == nil {
				silent, trouble = site{a, p}, err
			}
			continue
		}
		if p.Cloud.ProjectID() == project || project == "" && len(a.Profiles) == 1 {
			return site{a, p}, nil
		}
		served = append(served, "project "+p.Cloud.ProjectID())
	}
	if trouble != nil {
		return silent, trouble
	}
	return site{}, fmt.Errorf("this worker serves %s, not project %s: use the task queue of workers that serve it, all of them", strings.Join(served, " and "), project)
}

// open finds out the project of a profile that somebody chose by its name. Two of one project would leave open which
// one works on a server: that is an error, and no trouble.
func (s site) open(ctx context.Context) error {
	if err := s.resolveProject(ctx); err != nil {
		return err
	}
	for _, p := range s.Profiles {
		if p.Name != s.Name && p.Cloud.ProjectID() == s.Cloud.ProjectID() {
			return fmt.Errorf("profiles %s and %s are of the same project, %s: leave one of them out", s.Name, p.Name, p.Cloud.ProjectID())
		}
	}
	return nil
}

// Open finds out the project of a profile. It is for the start of a worker, which can tell early what is wrong.
func (a *Activities) Open(ctx context.Context, profile string) error {
	s, err := a.chosen(profile)
	if err != nil {
		return err
	}
	return s.open(ctx)
}

// resolveProject finds out the project. Its errors are trouble, and name the profile.
func (p Profile) resolveProject(ctx context.Context) error {
	err := p.Cloud.Resolve(ctx)
	if trouble, ok := errors.AsType[*ecs.Error](err); ok {
		trouble.Resource = "the project of profile " + p.Name
	}
	return err
}

// isTrouble tells trouble with asking the cloud from what is wrong with the question.
func isTrouble(err error) bool {
	_, ok := errors.AsType[*ecs.Error](err)
	return ok
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
