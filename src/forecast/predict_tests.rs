//! Ticks of prediction, in sentences.
