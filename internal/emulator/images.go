package emulator

import (
	"net/url"
	"slices"
	"strconv"
)

// Names of two images that every generated project has.
const (
	CurrentImageName = "base-2026-01" // what the generated fleet runs
	TargetImageName  = "base-2026-02" // a good target for all of it
)

// Image is one image of the image service.
type Image struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Status         string `json:"status"` // active, queued, saving, deleted, killed
	MinDiskGB      int    `json:"min_disk_gb"`
	MinRAMMB       int    `json:"min_ram_mb"`
	OSType         string `json:"os_type"`    // Linux, Windows, Other
	OSVersion      string `json:"os_version"` // "Ubuntu 24.04 server 64bit"
	Platform       string `json:"platform"`
	VirtualEnvType string `json:"virtual_env_type"` // FusionCompute for ECS system images
	Firmware       string `json:"firmware"`         // bios or uefi
	Type           string `json:"type"`             // gold, private, shared, market
	ARM            bool   `json:"arm"`
	Encrypted      bool   `json:"encrypted"`
	EncryptionKey  string `json:"encryption_key"` // id of the KMS key of an encrypted image
	WholeImage     bool   `json:"whole_image"`    // a full-server image, data disks and all
	FCInject       string `json:"fc_inject"`      // __support_fc_inject: "true", of which the documents say: no Cloud-Init
	PasswordLater  bool   `json:"password_later"` // __os_feature_list holds onekey_resetpasswd
	Fee            bool   `json:"fee"`            // it costs extra, so a server that is paid by year or month needs an order for it
}

func generatedImages() []Image {
	return []Image{
		{Name: CurrentImageName},
		{Name: TargetImageName},
		{Name: "base-2026-02-arm", ARM: true},
		{Name: "base-2026-02-uefi", Firmware: "uefi"},
		{Name: "base-2026-02-large", MinDiskGB: 100},
		{Name: "base-2026-03", Status: "saving"},
		{Name: "Ubuntu 24.04 server 64bit", Type: "gold", MinDiskGB: 10},
		{Name: "data-disk-2026", VirtualEnvType: "DataImage"},
	}
}

// withDefaults fills in what is empty. Unnamed images are named by their position.
func (i Image) withDefaults(s seed, position int) Image {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&i.Name, "image-"+strconv.Itoa(position+1))
	text(&i.ID, s.uuid("image", i.Name, strconv.Itoa(position)))
	text(&i.Status, "active")
	text(&i.OSType, "Linux")
	text(&i.OSVersion, "Ubuntu 24.04 server 64bit")
	text(&i.Platform, "Ubuntu")
	text(&i.VirtualEnvType, "FusionCompute")
	text(&i.Firmware, "bios")
	text(&i.Type, "private")
	if i.MinDiskGB == 0 {
		i.MinDiskGB = 40
	}
	if i.MinRAMMB == 0 {
		i.MinRAMMB = 1024
	}
	return i
}

func (e *Emulator) image(id string) (Image, bool) {
	at := slices.IndexFunc(e.images, func(i Image) bool { return i.ID == id })
	if at < 0 {
		return Image{}, false
	}
	return e.images[at], true
}

// listImages is GET /v2/cloudimages. An unknown id is an empty list, not an error. Guess: public and shared images are in no
// enterprise project, so that only a list of all shows them.
func (e *Emulator) listImages(c *call) answer {
	if r := e.judgeEnterprise(c); r != nil {
		return r.asGateway().answer(c.requestID)
	}
	limit := 500
	if text := c.query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return refuse("IMG.0144", "limit must be a number above 0").asGateway().answer(c.requestID)
		}
		limit = n
	}
	wanted := c.query.Get("enterprise_project_id")
	matches := func(i Image) bool {
		inOne := i.Type != "gold" && i.Type != "shared" && e.isListed(c)
		return (wanted == "" || wanted == allEnterpriseProjects || inOne) && accepts(c.query, "id", i.ID) && accepts(c.query, "name", i.Name) && accepts(c.query, "status", i.Status) &&
			accepts(c.query, "__imagetype", i.Type) && accepts(c.query, "__os_type", i.OSType) &&
			accepts(c.query, "virtual_env_type", i.VirtualEnvType) && accepts(c.query, "__platform", i.Platform)
	}
	begun := c.query.Get("marker") == ""
	list := imageList{Images: []imageView{}}
	for _, image := range e.images {
		if begun && matches(image) && len(list.Images) < limit {
			list.Images = append(list.Images, viewImage(image, e.options.ProjectID, e.started))
		}
		begun = begun || image.ID == c.query.Get("marker")
	}
	return jsonAnswer(200, list)
}

// accepts tells whether a filter is absent or equal to the value.
func accepts(query url.Values, filter, value string) bool {
	return !query.Has(filter) || query.Get(filter) == value
}
