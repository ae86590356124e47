// Command show prints its build, for the test of the linker flags.
package main

import (
	"fmt"

	"github.com/reimage/reimage/internal/buildinfo"
)

func main() { fmt.Println(buildinfo.Read()) }
