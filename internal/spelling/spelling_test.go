package spelling_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reimage/reimage/internal/spelling"
)

// TestIn finds a secret in every spelling, wherever it stands, also in part, and nothing where there is none.
func TestIn(t *testing.T) {
	const secret = "Pl4nted/Passw0rd?"
	for _, name := range spelling.Names() {
		for _, around := range []string{"", "x", "xy", `{"adminpass":"`} {
			text := spelling.Of(name)(around + secret + around + " and what follows")
			_, found := spelling.In("the parameter "+text+" is wrong", secret)
			assert.True(t, found, "%s: %q", name, text)
		}
		_, found := spelling.In("the parameter "+spelling.Of(name)("Ano1her_Secret")+" is wrong", secret)
		assert.False(t, found, name)
	}
	_, found := spelling.In("it ends in Pl4nted/Pass...", secret)
	assert.True(t, found)
	assert.Nil(t, spelling.Of("no such"))
}
