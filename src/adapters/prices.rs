//! The catalogue of instance types and prices that is built in.
