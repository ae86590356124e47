package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
	"github.com/reimage/reimage/rollout/document"
)

func imagesByID(images []rollout.InventoryImage) map[string]rollout.InventoryImage {
	byID := make(map[string]rollout.InventoryImage, len(images))
	for _, image := range images {
		byID[strings.ToLower(image.ID)] = image
	}
	return byID
}

// chooseImage finds the image to install.
func (p *planner) chooseImage(images []rollout.InventoryImage) {
	id := p.spec.Image.ID
	if id == "" {
		p.image = p.imageNamed(p.spec.Image.Name, images)
		return
	}
	image, ok := p.images[strings.ToLower(id)]
	if !ok {
		p.problem("image %s does not exist in this region or is not shared with this project", id)
		return
	}
	p.image = &image
}

// imageNamed is the one active image of that name. More than one, or none, is a problem that lists what
// there is.
func (p *planner) imageNamed(name string, images []rollout.InventoryImage) *rollout.InventoryImage {
	var active []rollout.InventoryImage
	var candidates []string
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b rollout.InventoryImage) int { return cmp.Compare(a.ID, b.ID) })
	images = slices.CompactFunc(images, func(a, b rollout.InventoryImage) bool { return a.ID == b.ID })
	for _, image := range images {
		if image.Name != name {
			continue
		}
		candidates = append(candidates, fmt.Sprintf("%s (%s)", image.ID, strings.Trim(image.Type+", "+image.Status, ", ")))
		if image.Status == rollout.ImageActive {
			active = append(active, image)
		}
	}
	switch {
	case len(candidates) == 0:
		p.problem("no image is named %q in this region: check the name, or give the id", name)
	case len(active) == 0:
		p.problem("no image named %q is active: there is %s", name, named(candidates))
	case len(active) > 1:
		p.problem("%d active images are named %q: give the id of one of %s", len(active), name, named(candidates))
	default:
		return &active[0]
	}
	return nil
}

// describeChange says what is done to every server, with the image pinned, and whether cloud and image allow it.
func (p *planner) describeChange() {
	if p.image == nil {
		p.plan.Change = p.spec.Change("")
	} else {
		p.plan.Change, p.plan.ImageName = p.spec.Change(p.image.ID), p.image.Name
		p.against(p.image.Objections(p.plan.Change, p.edition))
		if err := p.plan.Change.Validate(); err != nil {
			p.against(strings.Split(err.Error(), "\n"))
		}
		p.settleAPI()
	}
	p.plan.Change.UserDataDigest = p.userData.Digest
	p.against(p.edition.Objections(p.plan.Change))
}

// settleAPI says why api: auto is v2, which spec.Change makes of it, or that nobody can tell. No fact of the cloud
// proves that an image holds Cloud-Init (docs/editions.md#which-api), so the plan never chooses in silence.
func (p *planner) settleAPI() {
	switch {
	case p.spec.API != document.APIAuto:
	case p.edition.V2Only:
		p.whyAPI = fmt.Sprintf("api v2: the API of edition %s has no other version", p.edition.Name)
	case p.image.NoInjection:
		p.problem(`api: auto cannot tell what image %s (%s) needs: it carries __support_fc_inject "true", by the documents a sign that it lacks Cloud-Init, and by a widely used client of the opposite; write api: v2 if it has Cloud-Init or Cloudbase-Init, api: v1 if not`, p.image.Name, p.image.ID)
	default:
		p.whyAPI = fmt.Sprintf("api v2: nothing says that image %s lacks Cloud-Init, which is no proof that it has it: the first wave is; api: v1 is for images without", p.image.Name)
	}
}
