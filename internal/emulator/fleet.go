package emulator

import (
	"fmt"
	"strconv"
	"time"
)

// generatedFleet mixes roles (half web, a third app, the rest db), spreads each role over three zones and three rings,
// and gives the databases a data disk and pairs them in server groups. One server in twenty is tagged noreimage. Every
// server is ACTIVE on the first image.
func generatedFleet(n int) []Server {
	roles := []string{"web", "app", "web", "db", "web", "app"}
	count := map[string]int{}
	fleet := make([]Server, n)
	for i := range fleet {
		role := roles[i%len(roles)]
		count[role]++
		fleet[i] = Server{
			Name: fmt.Sprintf("%s-%02d", role, count[role]),
			Zone: fmt.Sprintf("eu-emulated-1%c", 'a'+rune((i+i/len(roles))%3)),
			Tags: []string{"role=" + role, "env=prod", fmt.Sprintf("ring=%d", i/3%3+1)},
		}
		if role == "db" {
			fleet[i].DataVolumeIDs = []string{""}
			fleet[i].FlavorID, fleet[i].VCPUs, fleet[i].RAMMB = "s6.xlarge.4", 4, 16384
			fleet[i].ServerGroup = fmt.Sprintf("db-pair-%02d", (count[role]+1)/2)
		}
		if i%20 == 19 {
			fleet[i].Tags = append(fleet[i].Tags, "noreimage")
		}
	}
	return fleet
}

// withDefaults fills in what is empty. position makes ids and addresses of unnamed fields distinct.
func (s Server) withDefaults(draw seed, position int, images []Image, now time.Time) Server {
	s = s.clone()
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&s.Name, fmt.Sprintf("server-%02d", position+1))
	text(&s.ID, draw.uuid("server", s.Name, strconv.Itoa(position)))
	text(&s.Status, "ACTIVE")
	text(&s.VMState, vmStateOf(s.Status))
	s.Status = statusOf(s.VMState, s.TaskState)
	text(&s.SystemVolumeID, draw.uuid("volume", s.ID, "0"))
	for i := range s.DataVolumeIDs {
		text(&s.DataVolumeIDs[i], draw.uuid("data volume", s.ID, strconv.Itoa(i)))
	}
	if s.SystemDiskGB == 0 {
		s.SystemDiskGB = 40
	}
	text(&s.FlavorID, "s6.large.2")
	if s.VCPUs == 0 {
		s.VCPUs = 2
	}
	if s.RAMMB == 0 {
		s.RAMMB = 4096
	}
	text(&s.Zone, "eu-emulated-1a")
	text(&s.IP, fmt.Sprintf("10.20.%d.%d", position/250, position%250+4))
	text(&s.ChargingMode, payPerUse)
	text(&s.UserID, draw.hex("user"))
	if s.ImageID == "" && len(images) > 0 {
		s.ImageID = images[0].ID
	}
	for _, image := range images {
		if image.ID == s.ImageID {
			text(&s.Firmware, image.Firmware)
			s.ARM = s.ARM || image.ARM
		}
	}
	text(&s.Firmware, "bios")
	if s.Created.IsZero() {
		s.Created = now.AddDate(0, -1, 0) // a fleet that has been there for a while
	}
	for _, at := range []*time.Time{&s.Updated, &s.Launched} {
		if at.IsZero() {
			*at = now
		}
	}
	return s
}
