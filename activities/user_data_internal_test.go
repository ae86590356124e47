package activities

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reimage/reimage/ecs"
	"github.com/reimage/reimage/rollout"
)

// TestPins: every worker gets the same digest, and no two places or contents share one.
func TestPins(t *testing.T) {
	content := ecs.NewSecret("#cloud-config\n")
	var first, second pins
	var key ecs.Secret
	digest := func(p *pins, project string, from rollout.SecretRef, userData ecs.Secret) string {
		got, err := p.digest(key, project, from, userData)
		require.NoError(t, err)
		return got
	}
	want := digest(&first, "p1", "file:a", content)
	assert.Equal(t, "5aedc0147906376ac991ac5a98a7863e", want, "it must not change: plans hold it")
	assert.Equal(t, want, digest(&second, "p1", "file:a", content), "on another worker")
	assert.Equal(t, want, digest(&first, "p1", "file:a", content), "computed once")
	assert.Len(t, first.known, 1)

	seen := map[string]string{want: "the first"}
	for what, other := range map[string]string{
		"another project":   digest(&first, "p2", "file:a", content),
		"another reference": digest(&first, "p1", "file:b", content),
		"another content":   digest(&first, "p1", "file:a", ecs.NewSecret("#cloud-config\n\n")),
	} {
		assert.NotContains(t, seen, other, what)
		seen[other] = what
	}
	key = ecs.NewSecret("0123456789abcdef0123456789abcdef")
	assert.NotContains(t, seen, digest(&first, "p1", "file:a", content), "with a key")
}
