//! `ipa tools`: the JSON Schemas of the tools that the model may call.
