package emulator

import "time"

type imageList struct {
	Images []imageView `json:"images"`
}

type imageView struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Status         string `json:"status"`
	MinDisk        int    `json:"min_disk"` // GB
	MinRAM         int    `json:"min_ram"`  // MB
	MaxRAM         string `json:"max_ram"`
	VirtualEnvType string `json:"virtual_env_type"`
	OSType         string `json:"__os_type"`
	OSBit          string `json:"__os_bit"`
	OSVersion      string `json:"__os_version"`
	Platform       string `json:"__platform"`
	ImageType      string `json:"__imagetype"`
	Firmware       string `json:"hw_firmware_type"`
	SupportARM     string `json:"__support_arm,omitempty"`
	SupportAMD     string `json:"__support_amd,omitempty"`
	Encrypted      string `json:"__system__encrypted,omitempty"`
	EncryptionKey  string `json:"__system__cmkid,omitempty"`
	WholeImage     string `json:"__whole_image,omitempty"`
	FCInject       string `json:"__support_fc_inject,omitempty"`
	Features       string `json:"__os_feature_list,omitempty"`
	Registered     string `json:"__isregistered"`
	ImageSize      string `json:"__image_size"`
	Visibility     string `json:"visibility"`
	Protected      bool   `json:"protected"`
	Owner          string `json:"owner"`
	CreatedAt      string `json:"created_at"`
	UpdatedAt      string `json:"updated_at"`
}

func viewImage(i Image, projectID string, made time.Time) imageView {
	v := imageView{
		ID: i.ID, Name: i.Name, Status: i.Status, MinDisk: i.MinDiskGB, MinRAM: i.MinRAMMB, MaxRAM: "0",
		VirtualEnvType: i.VirtualEnvType, OSType: i.OSType, OSBit: "64", OSVersion: i.OSVersion, Platform: i.Platform,
		ImageType: i.Type, Firmware: i.Firmware, Registered: "true", ImageSize: "1987654321", Visibility: "private",
		Protected: i.Type == "gold", Owner: projectID,
		CreatedAt: made.UTC().Format(serverTime), UpdatedAt: made.UTC().Format(serverTime),
	}
	if i.Type == "gold" || i.Type == "market" {
		v.Visibility = "public"
	}
	if i.ARM {
		v.SupportARM = "true"
	} else {
		v.SupportAMD = "true"
	}
	if i.Encrypted {
		v.Encrypted, v.EncryptionKey = "1", i.EncryptionKey
	}
	if i.WholeImage {
		v.WholeImage = "true"
	}
	v.FCInject = i.FCInject
	if i.PasswordLater {
		v.Features = `{"onekey_resetpasswd":"true"}`
	}
	return v
}

type projectList struct {
	Projects []projectView `json:"projects"`
}

type projectView struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Enabled  bool   `json:"enabled"`
	DomainID string `json:"domain_id"`
	ParentID string `json:"parent_id"`
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type domainList struct {
	Domains []named `json:"domains"`
}

type tokenView struct {
	Token tokenBody `json:"token"`
}

type tokenBody struct {
	Methods   []string `json:"methods"`
	IssuedAt  string   `json:"issued_at"`
	ExpiresAt string   `json:"expires_at"`
	Project   struct {
		named
		Domain named `json:"domain"`
	} `json:"project"`
	User struct {
		named
		Domain named `json:"domain"`
	} `json:"user"`
	Roles   []named    `json:"roles"`
	Catalog []struct{} `json:"catalog"`
}

func viewToken(o Options, issued, expires time.Time, userID string) tokenView {
	body := tokenBody{
		Methods: []string{"password"}, IssuedAt: issued.UTC().Format(tokenTime), ExpiresAt: expires.UTC().Format(tokenTime),
		Roles: []named{{ID: "0", Name: "te_admin"}}, Catalog: []struct{}{},
	}
	domain := named{ID: seed(o.Seed).hex("domain"), Name: o.DomainName}
	body.Project.named, body.Project.Domain = named{o.ProjectID, o.ProjectName}, domain
	body.User.named, body.User.Domain = named{userID, o.UserName}, domain
	return tokenView{body}
}
