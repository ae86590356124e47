package spec

import "strings"

// hint says what a document has in place of a field of another tool: Kubernetes, Ansible, Nomad, AWS Systems Manager and
// CloudFormation, OpenStack, and what people try. Empty for a name that none of them has.
func hint(name string) string {
	switch strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name)) {
	case "maxunavailable", "maxparallel", "maxconcurrency", "maxconcurrent", "concurrency", "parallel", "parallelism", "forks", "throttle", "minavailable",
		"minhealthypercentage", "mininstancesinservice", "disruptionbudget", "maxinflight", "workers", "ratecontrol":
		return "inFlight, perZone and perGroup say how many servers may be out of service at a time"
	case "serial", "batch", "batches", "batchsize", "maxbatchsize", "partition", "steps", "stages", "phases", "canary", "canaries", "checkpoints", "checkpointpercentages":
		return "waves cut the servers into parts, a canary first, and inFlight says how many of them are changed at a time"
	case "strategy", "rollingupdate", "rollingupdatepolicy", "updatestrategy", "update", "updatepolicy", "policy", "deployment":
		return "there is one strategy, and waves, inFlight, perZone, perGroup and budget say how careful it is"
	case "maxsurge", "replicas", "desiredcount":
		return "no server is created or deleted: the system disks of those that select names are replaced"
	case "maxfailpercentage", "maxfailures", "maxerrors", "failurethreshold", "failuretolerance", "anyerrorsfatal", "failfast", "ignoreerrors", "continueonerror", "errorbudget", "minsuccess":
		return "budget.tolerate says how many failures are tolerated, and budget.onBreach what happens after one more"
	case "rollback", "autorollback", "autorevert", "rollbackconfig", "onfailure", "onerror", "failureaction":
		return "budget.onBreach: pause, abort or rollback"
	case "autopromote", "promote", "approve", "manualapproval", "confirm", "pauseaftercanary":
		return "waves[].approval waits for reimage approve after a wave; without it the next wave begins by itself"
	case "pause", "paused", "pausetime", "stagger", "wait", "delay", "interval", "sleep", "checkpointdelay":
		return "waves[].bake is the wait after a wave, soak the wait after each server; reimage pause NAME holds a rollout"
	case "minreadyseconds", "minhealthytime", "instancewarmup", "warmup", "stabilizationtime":
		return "stableFor in health is for how long a check has to pass, and soak for how long a changed server keeps its slot"
	case "healthydeadline":
		return "within in health is when a check fails that has not passed"
	case "timeout", "timeouts", "timeoutseconds", "progressdeadline", "progressdeadlineseconds", "activedeadlineseconds", "executiontimeout", "maxduration", "ttl":
		return "serverDeadline bounds the change of one server, deadline the whole rollout"
	case "window", "windows", "maintenancewindow", "schedule", "cron", "start", "startat", "starttime", "notbefore", "blackout", "hours":
		return "there are no windows: run reimage apply at the time (cron), and hold the rollout with reimage pause and resume"
	case "hooks", "hook", "prehooks", "posthooks", "before", "after", "pretasks", "posttasks", "tasks", "roles", "handlers", "script", "commands", "lifecycle", "prestop", "poststart", "drain", "undrain", "run":
		return "there are no hooks: take servers out of traffic before apply, or between waves with waves[].approval"
	case "verify", "verification", "healthcheck", "healthchecks", "check", "checks", "probe", "probes", "readinessprobe", "livenessprobe", "startupprobe", "readiness", "liveness", "test", "validate", "waitfor":
		return "health lists the probes that a changed server has to pass: tcp, http, https or ssh"
	case "backup", "backups", "snapshot", "snapshots":
		return "nothing is backed up, and the snapshots of the old system disk are lost: back it up before apply"
	case "dryrun", "checkmode", "noop", "preview", "simulate":
		return "reimage plan shows what would happen and touches nothing"
	case "retries", "retry", "maxretries", "attempts", "maxattempts", "backofflimit", "restartpolicy":
		return "a failed server is not changed again by itself: reimage retry NAME SERVER does that"
	case "mode", "withstopserver", "stopmode", "shutdown", "poweroff":
		return "reimage stops servers itself; stop.platform: true leaves that to the cloud (mode withStopServer), stop.allowHard cuts the power"
	case "force", "reinstall", "always", "evenifsameimage":
		return "servers.alreadyThere: change also changes servers that run the image"
	case "graceperiod", "terminationgraceperiodseconds", "softstoptime", "stoptimeout":
		return "the worker's REIMAGE_SOFT_STOP_TIME is how long a guest may take to shut down, and stop.allowHard cuts its power then"
	case "selector", "labelselector", "matchlabels", "hosts", "targets", "target", "nodes", "instances", "filter", "filters", "include", "limit", "inventory", "nodeselector", "vms", "machines":
		return "select.ids, select.names, select.tags and select.file choose the servers, and waves[].select those of a wave"
	case "exclude", "except", "skip", "ignore":
		return "select.exclude takes servers out of the selection"
	case "labels", "annotations", "description", "comment", "ticket":
		return "metadata.reason is shown with the plan and in reports"
	case "zone", "zones", "az", "availabilityzone", "topologykey", "topologyspreadconstraints", "spread":
		return "perZone caps the servers of a zone, select.zones and waves[].select choose by zone, and spread: [zone] takes one of each zone in turn"
	case "group", "groups", "groupby", "cluster", "affinity", "antiaffinity":
		return "perGroup.tag or perGroup.serverGroup makes groups, perGroup.count or perGroup.percent caps them, and waves[].select chooses by them"
	case "region", "project", "projectid", "cloud", "account", "credentials", "namespace":
		return "profile names the cloud, region and project, as the workers know it"
	case "imageid", "imageref", "imagename", "os", "osversion":
		return "image.id or image.name"
	case "userdata", "userdatafile", "cloudinit", "cloudconfig":
		return "userDataFrom refers to user data that the worker reads: env:REIMAGE_SECRET_NAME or file:PATH"
	case "adminpass", "password", "rootpassword":
		return "login.passwordFrom refers to a password that the worker reads: env:REIMAGE_SECRET_NAME or file:PATH"
	case "keyname", "keypair", "sshkey", "sshkeys", "authorizedkeys":
		return "login.keyPair is the name of a key pair"
	case "size", "number", "percentage", "share":
		return "a wave says how many servers it has by waves[].count, waves[].percent or waves[].upTo"
	case "notify", "notification", "notifications", "webhook", "alerts":
		return "nothing is sent: reimage watch and its exit code tell how a rollout goes, reimage report what became of it"
	}
	return ""
}
