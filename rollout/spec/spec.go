// Package spec reads the specification of a rollout, the YAML document that an operator writes, and knows its rules. It knows
// nothing of the cloud; package document has its types, and package planner makes a plan of it.
//
// What reads a document, the rules and the schema in docs all go by the tags of the types.
package spec
