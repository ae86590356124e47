package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout"
)

const (
	imageActive = "active"
	// systemImage is the type of images that servers boot from. Images that do not say are taken for it.
	systemImage = "FusionCompute"
)

func imagesByID(images []rollout.InventoryImage) map[string]rollout.InventoryImage {
	byID := make(map[string]rollout.InventoryImage, len(images))
	for _, image := range images {
		byID[strings.ToLower(image.ID)] = image
	}
	return byID
}

// chooseImage finds the image to install and checks what can be said of it without a server.
func (p *planner) chooseImage(images []rollout.InventoryImage) {
	if id := p.spec.Image.ID; id != "" {
		image, ok := p.images[strings.ToLower(id)]
		if !ok {
			p.problem("image %s does not exist in this region or is not shared with this project", id)
			return
		}
		p.image = &image
	} else if p.image = p.imageNamed(p.spec.Image.Name, images); p.image == nil {
		return
	}
	image := *p.image
	if image.Status != imageActive {
		p.problem("image %s (%s) has status %s and must be active", image.Name, image.ID, image.Status)
	}
	if image.VirtEnv != "" && image.VirtEnv != systemImage {
		p.problem("image %s (%s) is of type %s: only %s images are system images for servers", image.Name, image.ID, image.VirtEnv, systemImage)
	}
	if image.OSType == "Windows" && p.spec.Login.KeyPair != "" && p.spec.API == string(rollout.APIv1) {
		p.problem("image %s is a Windows image without Cloudbase-Init (API v1): it takes a password, not a key pair", image.Name)
	}
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
		if image.Status == imageActive {
			active = append(active, image)
		}
	}
	switch {
	case len(candidates) == 0:
		p.problem("no image is named %q in this region: check the name, or give the id", name)
	case len(active) == 0:
		p.problem("no image named %q is active: there is %s", name, list(candidates))
	case len(active) > 1:
		p.problem("%d active images are named %q: give the id of one of %s", len(active), name, list(candidates))
	default:
		return &active[0]
	}
	return nil
}

// describeChange says what is done to every server, with the image pinned.
func (p *planner) describeChange() {
	if p.image == nil {
		p.plan.Change = p.spec.Change("")
		return
	}
	p.plan.Change, p.plan.ImageName = p.spec.Change(p.image.ID), p.image.Name
	if err := p.plan.Change.Validate(); err != nil {
		p.problems = append(p.problems, strings.Split(err.Error(), "\n")...)
	}
}
