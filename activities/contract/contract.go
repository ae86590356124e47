// Package contract is what the workflows of reimage and its workers agree on: the name, the input and the result of every
// activity, one file each. The activities themselves are in package activities. Other programs use package api instead.
package contract
