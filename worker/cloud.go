package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/reimage/reimage/activities"
	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout/edition"
)

// cloudConfig is the cloud as the settings name it. Whose token it takes, and which project a name means, only
// the identity service knows.
type cloudConfig struct {
	ecs.Config
	Profile  string
	Edition  edition.Edition
	Identity ecs.IdentityConfig
	// Login signs in, and Agency asks the metadata service. Without them, Credentials are complete.
	Login  *ecs.Login
	Agency *ecs.MetadataConfig
	// Source says where the credentials come from, and never what they are.
	Source string
	// ProjectName is looked up when there is no ProjectID.
	ProjectName string
}

// profileName is what a profile may be called, so that its variables have names, too.
var profileName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

// clouds reads the settings of every profile. Those of profile "eu-web" begin with EU_WEB_. Without
// REIMAGE_PROFILES there is one profile, whose settings have their plain names. Profiles share none of them: what is
// missing in one is never taken from another account.
func (s *settings) clouds(timeout time.Duration) []cloudConfig {
	names := s.text("REIMAGE_PROFILES", "")
	if names == "" {
		return []cloudConfig{s.profile(activities.DefaultProfile, "", timeout)}
	}
	var clouds []cloudConfig
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		switch {
		case !profileName.MatchString(name):
			s.wrong("REIMAGE_PROFILES: %q is no name of a profile: lower case letters, digits and dashes, at most 32", name)
			continue
		case strings.HasPrefix(name, "reimage"):
			// Its variables could be REIMAGE_SECRET_..., which whoever starts a rollout may refer to.
			s.wrong("REIMAGE_PROFILES: %q cannot be the name of a profile: variables that begin with REIMAGE_ have meanings of their own", name)
			continue
		case slices.ContainsFunc(clouds, func(c cloudConfig) bool { return c.Profile == name }):
			s.wrong("REIMAGE_PROFILES names %s twice", name)
			continue
		}
		clouds = append(clouds, s.profile(name, strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_", timeout))
	}
	return clouds
}

// profile reads the settings of one profile.
func (s *settings) profile(name, prefix string, timeout time.Duration) cloudConfig {
	own := settings{prefix: prefix, env: func(variable string) (string, bool) {
		if variable == "HOME" {
			return s.env(variable)
		}
		return s.env(prefix + variable)
	}}
	c := own.cloud(timeout)
	c.Profile = name
	for _, err := range own.errs {
		if prefix != "" {
			err = fmt.Errorf("profile %s, whose variables begin with %s: %w", name, prefix, err)
		}
		s.errs = append(s.errs, err)
	}
	return c
}

// openAll makes the clients of every profile. Two of one project would leave open which one works on a server.
func openAll(ctx context.Context, clouds []cloudConfig) ([]activities.Profile, error) {
	var profiles []activities.Profile
	var errs []error
	owner := map[string]string{}
	for _, c := range clouds {
		client, err := c.open(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("profile %s: %w", c.Profile, err))
			continue
		}
		if other, taken := owner[client.ProjectID()]; taken {
			errs = append(errs, fmt.Errorf("profiles %s and %s are of the same project, %s: leave one of them out", other, c.Profile, client.ProjectID()))
		}
		owner[client.ProjectID()] = c.Profile
		profiles = append(profiles, activities.Profile{Name: c.Profile, Cloud: client, Edition: c.Edition})
	}
	return profiles, errors.Join(errs...)
}

// cloud reads the settings of one cloud.
func (s *settings) cloud(timeout time.Duration) cloudConfig {
	for _, withFile := range []func() error{s.withCloudsFile, s.withCredentialsFile} {
		if err := withFile(); err != nil {
			s.errs = append(s.errs, err)
			return cloudConfig{} // whatever else is missing may be in that file
		}
	}
	c := cloudConfig{
		Config: ecs.Config{
			ProjectID: s.first(projectVars), RequestTimeout: timeout, ECS: s.endpoint("ecs"), IMS: s.endpoint("ims"),
			CallsPerSecond: s.calls("REIMAGE_CALLS_PER_SECOND", ecs.DefaultCallsPerSecond),
		},
		ProjectName: s.first(projectNameVars),
	}
	c.Edition = s.edition(c.ECS)
	if c.ProjectName == "" {
		c.ProjectName = s.first(regionVars) // the project that every account has in a region
	}
	s.credentials(&c)
	if c.ProjectID == "" && c.ProjectName == "" {
		s.wrong("the project is not known: set its id in %s, or its name in %s", strings.Join(projectVars, " or "), strings.Join(projectNameVars, " or "))
	}
	if c.Login != nil || c.ProjectID == "" {
		c.Identity = ecs.IdentityConfig{URL: s.identity(), RequestTimeout: timeout}
	}
	if c.Agency != nil && len(s.errs) > 0 { // nobody is asked for an agency until the rest is right
		s.wrong("%s; without any, those of an agency that this server has are used", noCredentials())
	}
	return c
}

// credentials prefers an access key, then a user with a password. A ready-made token is taken when there is neither:
// nobody renews it. Last comes the agency of the server that the worker runs on: of one that has a single profile,
// because several would share its account unasked.
func (s *settings) credentials(c *cloudConfig) {
	key, secret, token := s.first(accessKeyVars), s.first(secretKeyVars), s.first(tokenVars)
	securityToken, metadata := s.first(securityTokenVars), s.text("REIMAGE_METADATA_ENDPOINT", "")
	user, password, domain := s.first(userVars), s.first(passwordVars), s.first(domainVars)
	switch {
	case key != "" && secret != "":
		c.Source = s.source("access key", accessKeyVars)
		c.Credentials = ecs.AccessKey{ID: key, Secret: ecs.NewSecret(secret), SecurityToken: ecs.NewSecret(securityToken)}
	case key != "" || secret != "" || securityToken != "":
		s.wrong("an access key and its secret key go together: set one of %s and one of %s", strings.Join(accessKeyVars, ", "), strings.Join(secretKeyVars, ", "))
	case user != "" && password != "" && domain != "":
		c.Source = s.source("user", userVars)
		c.Login = &ecs.Login{User: user, Domain: domain, Password: ecs.NewSecret(password), ProjectID: c.ProjectID, ProjectName: c.ProjectName}
	case user != "" || password != "":
		s.wrong("a user, a password and the name of the account go together: set one of %s, one of %s and one of %s",
			strings.Join(userVars, ", "), strings.Join(passwordVars, ", "), strings.Join(domainVars, ", "))
	case token != "":
		c.Source = s.source("token", tokenVars)
		c.Credentials = ecs.Token{Value: ecs.NewSecret(token)}
	case metadata != "" || s.prefix == "" && s.from == "":
		c.Source = "agency of this server"
		c.Agency = &ecs.MetadataConfig{URL: cmp.Or(metadata, ecs.MetadataURL)}
	default:
		s.wrong("%s", noCredentials())
	}
}

func noCredentials() string {
	return fmt.Sprintf("there are no cloud credentials: set %s and %s, or %s, %s and %s, or %s",
		accessKeyVars[0], secretKeyVars[0], userVars[0], passwordVars[0], domainVars[0], tokenVars[0])
}

// identity is the base URL of the identity service.
func (s *settings) identity() string {
	if given := s.first(identityVars); given != "" {
		return given
	}
	return s.endpoint("iam")
}

// open makes the client. It asks the identity service when the project is known by its name only, and the metadata
// service when nobody gave credentials.
func (c cloudConfig) open(ctx context.Context) (*ecs.Client, error) {
	config := c.Config
	if c.Agency != nil {
		agency, err := ecs.NewAgency(*c.Agency)
		if err != nil {
			return nil, err
		}
		if err := agency.Check(ctx); err != nil {
			return nil, fmt.Errorf("%s; the metadata service at %s has none either: %w", noCredentials(), c.Agency.URL, err)
		}
		config.Credentials = agency
	}
	if c.Identity.URL != "" {
		identity, err := ecs.NewIdentity(c.Identity)
		if err != nil {
			return nil, err
		}
		defer identity.Close()
		if err := c.identify(ctx, identity, &config); err != nil {
			return nil, err
		}
	}
	return ecs.New(config)
}

func (c cloudConfig) identify(ctx context.Context, identity *ecs.Identity, config *ecs.Config) error {
	lookUp := func(ctx context.Context) (string, error) {
		return identity.ProjectID(ctx, config.Credentials, c.ProjectName)
	}
	if c.Login != nil {
		user, err := ecs.NewUserToken(identity, *c.Login)
		if err != nil {
			return err
		}
		config.Credentials, lookUp = user, user.ProjectID
	}
	if c.ProjectID != "" {
		return nil
	}
	id, err := lookUp(ctx)
	if err != nil {
		return fmt.Errorf("the id of project %q is not known (%s would say it): %w", c.ProjectName, projectVars[0], err)
	}
	config.ProjectID = id
	return nil
}

// described says which profile leads where, and as whom: "web: project 0e5f... at
// https://ecs.eu-de.otc.t-systems.com, edition otc, access key of HW_ACCESS_KEY".
func described(clouds []cloudConfig, profiles []activities.Profile) []string {
	var lines []string
	for i, p := range profiles {
		lines = append(lines, fmt.Sprintf("%s: project %s at %s, edition %s, %s", p.Name, p.Cloud.ProjectID(), clouds[i].ECS, p.Edition.Name, clouds[i].Source))
	}
	return lines
}
