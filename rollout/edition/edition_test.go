package edition_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/rollout/edition"
)

// TestEditionOfAHost goes by the region, then by the longest domain.
func TestEditionOfAHost(t *testing.T) {
	for host, want := range map[string]string{
		"ecs.eu-de.otc.t-systems.com":                      "otc",
		"ECS.eu-nl.OTC.t-systems.com":                      "otc",
		"ecs.eu-ch2.sc.otc.t-systems.com":                  "swiss-otc",
		"ecs.ap-southeast-1.myhuaweicloud.com":             "huaweicloud",
		"ecs.tr-west-1.myhuaweicloud.com":                  "huaweicloud",
		"ecs.eu-west-101.myhuaweicloud.eu":                 "huaweicloud-eu",
		"ecs.cn-north-4.myhuaweicloud.com":                 "huaweicloud-china",
		"ecs.eu-west-0.prod-cloud-ocb.orange-business.com": "flexibleengine",
		"ecs.tr-central-201.cloud.example":                 "ankara",
		"ecs.my-kualalumpur-1.cloud.example":               "kuala-lumpur",
		"ecs.ae-ad-1.cloud.example":                        "abu-dhabi",
		"ecs.cn-1.cloud.example":                           edition.Any,
		"ecs.eu-de.cloud.example":                          edition.Any,
		"notmyhuaweicloud.com":                             edition.Any,
		"127.0.0.1":                                        edition.Any,
		"":                                                 edition.Any,
	} {
		assert.Equal(t, want, edition.Of(host).Name, host)
	}
}

func TestNamed(t *testing.T) {
	for _, row := range edition.Rows() {
		named, err := edition.Named(row.Name)
		require.NoError(t, err)
		assert.Equal(t, row.Edition, named)
	}
	named, err := edition.Named("")
	require.NoError(t, err)
	assert.Equal(t, edition.Edition{Name: edition.Any}, named)
	_, err = edition.Named("OTC")
	assert.EqualError(t, err, `edition "OTC" is not known: it is one of any, huaweicloud, huaweicloud-eu, huaweicloud-china, otc, swiss-otc, ankara, kuala-lumpur, abu-dhabi, flexibleengine`)
}

// TestSwitches: there is one for each field, and what nobody tells is off.
func TestSwitches(t *testing.T) {
	var e edition.Edition
	var names []string
	for _, s := range edition.Switches(&e) {
		names = append(names, s.Name)
		*s.On = true
	}
	for i := range reflect.TypeFor[edition.Edition]().NumField() - 1 {
		assert.True(t, reflect.ValueOf(e).Field(i+1).Bool(), "%s has a switch", reflect.TypeFor[edition.Edition]().Field(i+1).Name)
	}
	for _, row := range edition.Rows() {
		assert.Subset(t, names, row.Untold)
		for _, s := range edition.Switches(&row.Edition) {
			assert.False(t, *s.On && slices.Contains(row.Untold, s.Name), "%s of %s is on and told by nobody", s.Name, row.Name)
		}
	}
}

// TestManual holds the tables of docs/editions.md against this one.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/editions.md")
	require.NoError(t, err)
	assert.Contains(t, string(manual), table(), "the table of editions has changed")
	assert.Contains(t, string(manual), meanings(), "the list of switches has changed")
	for _, row := range edition.Rows() {
		assert.Contains(t, string(manual), "\n| `"+row.Name+"` | "+row.Cloud+" | ", "the sources of each edition, with whose it is")
	}
}

// table has a line for each edition, and a column for each switch.
func table() string {
	var e edition.Edition
	head, line := "| edition |", "|---|"
	for _, s := range edition.Switches(&e) {
		head, line = head+" `"+s.Name+"` |", line+"---|"
	}
	text := []string{head, line}
	for _, row := range edition.Rows() {
		cells := "| `" + row.Name + "` |"
		for _, s := range edition.Switches(&row.Edition) {
			cells += " " + cell(*s.On, slices.Contains(row.Untold, s.Name)) + " |"
		}
		text = append(text, cells)
	}
	return strings.Join(text, "\n") + "\n"
}

func cell(on, untold bool) string {
	switch {
	case untold:
		return "- [G]"
	case on:
		return "**yes** [D]"
	}
	return "no [D]"
}

func meanings() string {
	text := "| switch | what it says |\n|---|---|\n"
	var e edition.Edition
	for _, s := range edition.Switches(&e) {
		text += fmt.Sprintf("| `%s` | %s |\n", s.Name, s.Meaning)
	}
	return text
}
