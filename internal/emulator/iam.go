package emulator

import (
	"strconv"
	"time"
)

// tokenTime is how IAM prints times: microseconds, UTC.
const tokenTime = "2006-01-02T15:04:05.000000Z"

type tokenRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   struct {
						ID   string `json:"id"`
						Name string `json:"name"`
					} `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// issueToken is POST /v3/auth/tokens: user name and password for a token of the project.
func (e *Emulator) issueToken(c *call) answer {
	var body tokenRequest
	if r := decode(c.body, &body); r != nil {
		return (&refusal{status: 400, message: "The request body is invalid.", shape: shapeKeystone}).answer(c.requestID)
	}
	user, project := body.Auth.Identity.Password.User, body.Auth.Scope.Project
	ofAccount := user.Domain.Name == e.options.DomainName || user.Domain.ID == e.seed.hex("domain")
	if user.Name != e.options.UserName || user.Password != e.options.Password || !ofAccount {
		return (&refusal{status: 401, message: "The username or password is wrong.", shape: shapeKeystone}).answer(c.requestID)
	}
	if project.ID != e.options.ProjectID && project.Name != e.options.ProjectName {
		return (&refusal{status: 401, message: "The project of the scope does not exist.", shape: shapeKeystone}).answer(c.requestID)
	}
	token := "MIIemulated" + e.seed.hex("token", strconv.Itoa(e.issued))
	e.issued++
	expires := c.wall.Add(e.options.TokenLifetime)
	e.tokens[token] = expires
	a := jsonAnswer(201, viewToken(e.options, c.wall, expires, e.userID()))
	a.header = map[string][]string{"X-Subject-Token": {token}}
	return a
}

// listProjects is GET /v3/projects?name=.
func (e *Emulator) listProjects(c *call) answer {
	list := projectList{Projects: []projectView{}}
	if accepts(c.query, "name", e.options.ProjectName) {
		list.Projects = append(list.Projects, projectView{
			ID: e.options.ProjectID, Name: e.options.ProjectName, Enabled: true, DomainID: e.seed.hex("domain"), ParentID: e.seed.hex("domain"),
		})
	}
	return jsonAnswer(200, list)
}

// listDomains is GET /v3/auth/domains: the one account that the credentials belong to. The official SDK asks for it before it
// calls the identity service.
func (e *Emulator) listDomains(*call) answer {
	return jsonAnswer(200, domainList{Domains: []named{{ID: e.seed.hex("domain"), Name: e.options.DomainName}}})
}

// RevokeTokens makes every token issued and every temporary key granted so far invalid, as a changed password does.
// Options.Token stays valid, and so does the access key.
func (e *Emulator) RevokeTokens() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tokens, e.temporary, e.agency = map[string]time.Time{}, map[string]temporaryKey{}, temporaryKey{}
}
