//! Leg recordings: real ones agree with gravity, damaged ones are counted, foreign ones named.

mod files;
mod recordings;
