package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

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
	// None is what to say when the agency grants no credentials either.
	None string
	// ProjectName is looked up when there is no ProjectID.
	ProjectName string

	// agency and identity are the clients that the one of the cloud asks, once it is made.
	agency   *ecs.Agency
	identity *ecs.Identity
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

// makeProfiles makes the clients of every profile, and asks nobody. Two of one project would leave open which one works on
// a server; of projects known by name only, the activities find out.
func makeProfiles(clouds []cloudConfig) ([]activities.Profile, error) {
	var profiles []activities.Profile
	var errs []error
	owner := map[string]string{}
	for i := range clouds {
		c := &clouds[i]
		client, err := c.client()
		if err != nil {
			errs = append(errs, fmt.Errorf("profile %s: %w", c.Profile, err))
			continue
		}
		id := client.ProjectID()
		if other, taken := owner[id]; taken && id != "" {
			errs = append(errs, fmt.Errorf("profiles %s and %s are of the same project, %s: leave one of them out", other, c.Profile, id))
		}
		owner[id] = c.Profile
		profiles = append(profiles, activities.Profile{Name: c.Profile, Cloud: client, Edition: c.Edition, Source: c.Source})
	}
	return profiles, errors.Join(errs...)
}

// cloud reads the settings of one cloud.
func (s *settings) cloud(timeout time.Duration) cloudConfig {
	if err := s.withCloudsFile(); err != nil {
		s.errs = append(s.errs, err)
		return cloudConfig{} // whatever else is missing may be in that file
	}
	s.elsewhere()
	meantElsewhere := len(s.errs) > 0
	if err := s.withCredentialsFile(); err != nil {
		s.errs = append(s.errs, err)
		return cloudConfig{}
	}
	if s.own = s.owner(); s.own != nil {
		s.agree(s.own)
	}
	id, name := s.project()
	roots := s.trusted()
	c := cloudConfig{
		Config: ecs.Config{
			ProjectID: id, EnterpriseProject: s.enterpriseProject(), RequestTimeout: timeout, ECS: s.endpoint("ecs"), IMS: s.endpoint("ims"),
			CallsPerSecond: s.calls("REIMAGE_CALLS_PER_SECOND", ecs.DefaultCallsPerSecond), RootCAs: roots,
		},
		ProjectName: cmp.Or(name, s.region()), // every account has a project of the region's name
	}
	c.Edition = s.edition(c.ECS)
	c.KPS = s.keyPairService(c.Edition)
	s.credentials(&c)
	agency := c.Agency != nil && s.value("REIMAGE_METADATA_ENDPOINT") != "" // and not for want of anything else
	if c.ProjectID == "" && c.ProjectName == "" {
		known := ""
		if agency {
			known = "the credentials are those of the agency of this server, but "
		}
		s.wrong("%sthe project is not known: set its id in %s, or its name in %s", known, s.say(all(projectIDPart)...), s.say(all(projectNamePart)...))
	}
	if c.Login != nil || c.ProjectID == "" {
		c.Identity = ecs.IdentityConfig{URL: s.identity(), RequestTimeout: timeout, RootCAs: roots}
	} else if name := s.identityName(); name != "" {
		s.address(name) // which also tells the cloud
	}
	if c.Agency != nil && !agency && !meantElsewhere && len(s.errs) > 0 { // nobody is asked for an agency until the rest is right
		s.wrong("there are no cloud credentials in the settings, so those of the agency of this server are used; if it has none, %s", setCredentials)
	}
	return c
}

// credentials prefers an access key, then a user with a password. A ready-made token is taken when there is neither:
// nobody renews it. All parts are of one family, so that two accounts are never mixed. Last comes the agency of the
// server that the worker runs on: of one that has a single profile, because several would share its account unasked.
func (s *settings) credentials(c *cloudConfig) {
	key, secret, securityToken := s.of(s.own, accessKeyPart), s.of(s.own, secretKeyPart), s.of(s.own, securityTokenPart)
	user, password, account := s.of(s.own, userPart), s.of(s.own, passwordPart), s.of(s.own, accountPart)
	token, metadata := s.of(s.own, tokenPart), s.value("REIMAGE_METADATA_ENDPOINT")
	c.None = s.noCredentials()
	switch {
	case key != "" && secret != "":
		c.Source = s.source("access key", accessKeyPart)
		c.Credentials = ecs.AccessKey{ID: key, Secret: ecs.NewSecret(secret), SecurityToken: ecs.NewSecret(securityToken)}
	case key != "" || secret != "" || securityToken != "":
		s.incomplete("an access key and its secret key", accessKeyPart, secretKeyPart)
	case user != "" && password != "" && account != "":
		c.Source = s.source("user", userPart)
		c.Login = &ecs.Login{User: user, Password: ecs.NewSecret(password), ProjectID: c.ProjectID, ProjectName: c.ProjectName}
		if strings.HasSuffix(s.nameIn(s.own, accountPart), "_ID") {
			c.Login.DomainID = account
		} else {
			c.Login.Domain = account
		}
	case user != "" || password != "":
		s.incomplete("a user, a password and the account (the domain of the user)", userPart, passwordPart, accountPart)
	case token != "":
		c.Source = s.source("token", tokenPart)
		c.Credentials = ecs.Token{Value: ecs.NewSecret(token)}
	case metadata != "" || s.prefix == "" && s.from == "":
		c.Source = "agency of this server"
		c.Agency = &ecs.MetadataConfig{URL: ecs.MetadataURL}
		if metadata != "" {
			c.Agency.URL = s.address("REIMAGE_METADATA_ENDPOINT")
		}
	default:
		s.wrong("%s", c.None)
	}
}

// enterpriseProject is the one that lists are narrowed to.
func (s *settings) enterpriseProject() string {
	name := s.name(enterprisePart)
	id := s.value(name)
	if err := ecs.CheckEnterpriseProject(id); err != nil {
		s.wrong("%s: %w", s.say(name), err)
	}
	return id
}

func (s *settings) noCredentials() string {
	if s.entry {
		return "there are no cloud credentials in " + s.from + ": its auth needs a username, a password and a user_domain_name, or a token, or an ak and an sk"
	}
	return "there are no cloud credentials: " + setCredentials
}

const setCredentials = "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME, or OS_TOKEN, or OS_CLOUD"

// identityName is the variable with the address of the identity service.
func (s *settings) identityName() string {
	if s.value("REIMAGE_IAM_ENDPOINT") != "" {
		return "REIMAGE_IAM_ENDPOINT"
	}
	return s.name(identityPart)
}

// bearer is the secret among the credentials that is sent as it is, or becomes a token that is: "" for a permanent access
// key, whose secret key only signs.
func (s *settings) bearer() string {
	switch {
	case s.of(s.own, securityTokenPart) != "":
		return "a security token"
	case s.of(s.own, accessKeyPart) != "":
		return ""
	case s.of(s.own, passwordPart) != "":
		return "a password"
	case s.of(s.own, tokenPart) != "":
		return "a token"
	}
	return ""
}

// staysWithOwner refuses to send such a secret to where a variable of another tool leads, the one named, that says a part.
// Those of reimage are of no other tool.
func (s *settings) staysWithOwner(name string, p part) {
	secret := s.bearer()
	if secret == "" || name == "" || name == "REIMAGE_IAM_ENDPOINT" || slices.Contains(s.own[p], name) {
		return
	}
	instead := cmp.Or(s.say(s.own[p]...), s.say(s.own[identityPart]...))
	s.wrong("%s is not sent where %s leads, which is of another tool, and maybe of another cloud: set %s, or unset %s", secret, name, instead, name)
}

// identity is the base URL of the identity service.
func (s *settings) identity() string {
	if name := s.identityName(); name != "" {
		s.staysWithOwner(name, identityPart)
		return s.address(name)
	}
	return s.endpoint("iam")
}

// client makes the client. It asks nobody: a project that is known by its name is looked up when it is needed first.
func (c *cloudConfig) client() (*ecs.Client, error) {
	config := c.Config
	var err error
	if c.Agency != nil {
		if c.agency, err = ecs.NewAgency(*c.Agency); err != nil {
			return nil, err
		}
		config.Credentials = c.agency
	}
	if c.Identity.URL != "" {
		if c.identity, err = ecs.NewIdentity(c.Identity); err != nil {
			return nil, err
		}
	}
	switch {
	case c.Login != nil:
		user, err := ecs.NewUserToken(c.identity, *c.Login)
		if err != nil {
			return nil, err
		}
		config.Credentials, config.FindProject = user, user.ProjectID
	case c.identity != nil:
		config.FindProject = c.identity.FindProject(config.Credentials, c.ProjectName)
	}
	return ecs.New(config)
}

// close closes the idle connections of those that the client asks.
func (c *cloudConfig) close() {
	if c.agency != nil {
		c.agency.Close()
	}
	if c.identity != nil {
		c.identity.Close()
	}
}

// introduce looks up what the settings only name, and logs each profile that cannot be used as things are. The worker
// serves the others meanwhile, and that one as soon as its cloud lets it: none of this is in the way of its start.
// That comes last in a start, so that one which fails again and again does not sign in each time.
func introduce(ctx context.Context, logger *zap.Logger, clouds []cloudConfig, acts *activities.Activities) {
	var all sync.WaitGroup
	for i, c := range clouds {
		all.Go(func() {
			err := c.ready(ctx, acts)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				logger.Warn("a profile cannot be used yet: reimage doctor says what is in the way", zap.String("profile", c.Profile), zap.Error(err))
			case c.ProjectID == "":
				logger.Info("project found", zap.String("profile", c.described(acts.Profiles[i])))
			}
		})
	}
	all.Wait()
}

// ready is nil once there are credentials and a project.
func (c cloudConfig) ready(ctx context.Context, acts *activities.Activities) error {
	if c.agency != nil {
		if err := c.agency.Check(ctx); err != nil {
			return fmt.Errorf("%s; the metadata service grants none either: %w", c.None, err)
		}
	}
	return acts.Open(ctx, c.Profile)
}

// described says which profile leads where, and as whom.
func described(clouds []cloudConfig, profiles []activities.Profile) []string {
	var lines []string
	for i, p := range profiles {
		lines = append(lines, clouds[i].described(p))
	}
	return lines
}

// described is "web: project 0e5f... at https://ecs.eu-de.otc.t-systems.com, edition otc, access key of HW_ACCESS_KEY".
func (c cloudConfig) described(p activities.Profile) string {
	narrowed := ""
	if c.EnterpriseProject != "" {
		narrowed = " (enterprise project " + c.EnterpriseProject + ")"
	}
	project := cmp.Or(p.Cloud.ProjectID(), strconv.Quote(c.ProjectName)) + narrowed
	return fmt.Sprintf("%s: project %s at %s, edition %s, %s", p.Name, project, c.ECS, p.Edition.Name, c.Source)
}
