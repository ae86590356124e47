package emulator

const (
	defaultEnterpriseProject = "0"
	allEnterpriseProjects    = "all_granted_eps"
)

// enterpriseProject is the one that everything is in.
func (e *Emulator) enterpriseProject() string {
	if e.options.EnterpriseProject == "" {
		return defaultEnterpriseProject
	}
	return e.options.EnterpriseProject
}

// judgeEnterprise refuses a list beyond the enterprise project in which the credentials have their rights. Guess: the code;
// the documents tell of HTTP 403 only.
func (e *Emulator) judgeEnterprise(c *call) *refusal {
	if e.options.EnterpriseProject == "" || e.isListed(c) {
		return nil
	}
	return refuse("Pdp.0001", "")
}

// isListed is true when the query takes in the enterprise project that everything is in.
func (e *Emulator) isListed(c *call) bool {
	switch wanted := c.query.Get("enterprise_project_id"); wanted {
	case "":
		return e.options.EnterpriseProject == ""
	case allEnterpriseProjects:
		return true
	default:
		return wanted == e.enterpriseProject()
	}
}
