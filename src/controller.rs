//! The operator: one owner of memory that ticks every minute, with reflex passes between.
