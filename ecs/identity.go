package ecs

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// IdentityConfig says where the identity service (IAM) is.
type IdentityConfig struct {
	// URL is its base, with or without /v3.
	URL string
	// RequestTimeout, RootCAs and Dial are as in Config.
	RequestTimeout time.Duration
	RootCAs        *x509.CertPool
	Dial           func(ctx context.Context, network, address string) (net.Conn, error)
}

// Identity talks to the identity service.
type Identity struct {
	base   *url.URL
	client *Client // without a project, and without credentials unless somebody lends some
}

// NewIdentity checks the configuration. It sends nothing.
func NewIdentity(config IdentityConfig) (*Identity, error) {
	base, err := parseBase("IAM", config.URL)
	if err != nil {
		return nil, err
	}
	if err := checkTimeout(config.RequestTimeout); err != nil {
		return nil, err
	}
	timeout := cmp.Or(config.RequestTimeout, defaultRequestTimeout)
	if strings.HasSuffix(strings.TrimRight(base.Path, "/"), "/v3") {
		base = base.JoinPath("..")
	}
	return &Identity{base: base, client: &Client{
		credentials: nobody{}, timeout: timeout, userAgent: defaultUserAgent, now: time.Now,
		transport: newTransport(config.Dial, config.RootCAs, timeout),
	}}, nil
}

// nobody are the credentials of somebody who has yet to get some.
type nobody struct{}

func (nobody) Authorize(*http.Request, []byte, time.Time) error { return nil }

// Login is a user of the cloud, the user's account (its domain) by its name or its id, and the project that the user's
// tokens are for: by its id or by its name.
type Login struct {
	User, Domain, DomainID string
	Password               Secret
	ProjectID, ProjectName string
}

func (l Login) validate() error {
	var problems []error
	for _, field := range []struct{ what, value string }{
		{"user name", l.User}, {"domain (the account, by its name or its id)", cmp.Or(l.Domain, l.DomainID)}, {"password", l.Password.Reveal()},
	} {
		if field.value == "" {
			problems = append(problems, fmt.Errorf("the %s is missing", field.what))
		}
	}
	if l.ProjectID == "" && l.ProjectName == "" {
		problems = append(problems, errors.New("the project is missing: its id or its name"))
	}
	return errors.Join(problems...)
}

// UserToken are the credentials of a user: a project-scoped token, which is renewed at half of its life and when
// the cloud refuses it, as after a change of the password.
type UserToken struct {
	*renewed
	login    Login
	identity *Identity
}

// NewUserToken checks the login. The first request gets the first token.
func NewUserToken(identity *Identity, login Login) (*UserToken, error) {
	if err := login.validate(); err != nil {
		return nil, err
	}
	return &UserToken{login: login, identity: identity, renewed: newRenewed(func(ctx context.Context) (grant, error) {
		return identity.token(ctx, login)
	})}, nil
}

// ProjectID is the project that the tokens are for. With a name it asks for the first token.
func (u *UserToken) ProjectID(ctx context.Context) (string, error) {
	if u.login.ProjectID != "" {
		return u.login.ProjectID, nil
	}
	g, err := u.grant(ctx, u.identity.client.now())
	return g.projectID, err
}

type tokenBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string    `json:"name"`
					Password string    `json:"password"`
					Domain   namedJSON `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project namedJSON `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

type namedJSON struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// token is POST /v3/auth/tokens. It changes nothing in the cloud, so it may be asked for any number of times.
func (i *Identity) token(ctx context.Context, login Login) (grant, error) {
	var body tokenBody
	identity := &body.Auth.Identity
	identity.Methods = []string{"password"}
	identity.Password.User.Name = login.User
	identity.Password.User.Password = login.Password.Reveal()
	identity.Password.User.Domain = namedJSON{ID: login.DomainID, Name: login.Domain}
	body.Auth.Scope.Project = namedJSON{ID: login.ProjectID, Name: login.ProjectName}
	scope := "project " + strconv.Quote(shown(login.ProjectName))
	if login.ProjectID != "" {
		body.Auth.Scope.Project.Name = ""
		scope = "project " + shown(login.ProjectID)
	}
	call := request{
		op: "get", method: http.MethodPost,
		resource: fmt.Sprintf("a token for user %q in project %q", shown(login.User), shown(cmp.Or(login.ProjectID, login.ProjectName))),
		url:      withQuery(i.base.JoinPath("v3", "auth", "tokens"), url.Values{"nocatalog": {"true"}}),
		body:     encode(body),
		private:  true,
		secrets:  []string{login.Password.Reveal()},
		scope:    scope,
	}
	asked := i.client.now()
	reply := i.client.exchange(ctx, call)
	if !reply.usable() {
		return grant{}, reply.failure(call)
	}
	token := reply.header.Get("X-Subject-Token")
	projectID, expires, err := decodeToken(token, reply.body, asked)
	if err != nil {
		return grant{}, reply.unclear(call, err)
	}
	return grant{credentials: Token{Value: NewSecret(token)}, at: asked, expires: expires, projectID: projectID}, nil
}

// decodeToken reads for which project a token is and for how long. The life is taken from the two times of the
// service and counted from the local clock, which may differ from the service's.
func decodeToken(token string, body []byte, asked time.Time) (projectID string, expires time.Time, err error) {
	if err := checkCredential("token of the answer", token); err != nil {
		return "", time.Time{}, err
	}
	var answer struct {
		Token struct {
			IssuedAt  text `json:"issued_at"`
			ExpiresAt text `json:"expires_at"`
			Project   struct {
				ID text `json:"id"`
			} `json:"project"`
		} `json:"token"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return "", time.Time{}, err
	}
	issued, issuedErr := time.Parse(time.RFC3339, string(answer.Token.IssuedAt))
	end, endErr := time.Parse(time.RFC3339, string(answer.Token.ExpiresAt))
	life := end.Sub(issued)
	switch {
	case issuedErr != nil || endErr != nil || life <= 0:
		return "", time.Time{}, errors.New("the answer does not say for how long the token is valid")
	case !isToken(string(answer.Token.Project.ID)):
		return "", time.Time{}, errors.New("the answer does not say for which project the token is")
	}
	return string(answer.Token.Project.ID), asked.Add(life), nil
}

// FindProject gives what finds the id of a project by its name, for instance "eu-de" or "eu-de_team1". Many callers
// share one look-up, and its failure for a while.
func (i *Identity) FindProject(credentials Credentials, name string) func(ctx context.Context) (string, error) {
	found := newRenewed(func(ctx context.Context) (grant, error) {
		asked := i.client.now()
		id, err := i.projectID(ctx, credentials, name)
		return grant{credentials: nobody{}, at: asked, expires: asked.Add(forGood), projectID: id}, err
	})
	return func(ctx context.Context) (string, error) {
		g, err := found.grant(ctx, i.client.now())
		return g.projectID, err
	}
}

// forGood is how long a project keeps its id.
const forGood = 100 * 365 * 24 * time.Hour

// projectID is GET /v3/projects.
func (i *Identity) projectID(ctx context.Context, credentials Credentials, name string) (string, error) {
	asking := *i.client
	asking.credentials = credentials
	call := request{
		op: "look up", resource: "project " + strconv.Quote(shown(name)),
		url: withQuery(i.base.JoinPath("v3", "projects"), url.Values{"name": {name}}),
	}
	found, err := read(ctx, &asking, call, func(body []byte) ([]string, error) { return decodeProjects(body, name) })
	if err == nil && len(found) != 1 {
		err = &Error{Op: call.op, Resource: call.resource, Status: http.StatusOK, class: ClassPermanent, cause: CauseProject,
			Message: fmt.Sprintf("the credentials reach %d projects of that name", len(found)),
			remedy:  "check the name and the region, or set the id of the project: every region has projects of its own"}
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Cause() == CausePermission {
		e.remedy = "the credentials may not list projects (GET /v3/projects): grant them that in the identity service, or set the id of the project in place of its name"
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// decodeProjects returns the ids of the projects of exactly that name.
func decodeProjects(body []byte, name string) ([]string, error) {
	var answer struct {
		Projects list[struct {
			ID   text `json:"id"`
			Name text `json:"name"`
		}] `json:"projects"`
	}
	if err := unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if !hasList(body, "projects") {
		return nil, errors.New("the answer lists no projects")
	}
	var found []string
	for _, p := range answer.Projects {
		if string(p.Name) == name && isToken(string(p.ID)) {
			found = append(found, string(p.ID))
		}
	}
	return found, nil
}

// Close closes idle connections.
func (i *Identity) Close() { i.client.Close() }
