//! The four custom resources (`ipa.dev/v1alpha1`), their schemas and CEL rules, and their one conversion into the domain's checked types.
