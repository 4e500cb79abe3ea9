//! Stories are what they say.
