//! (module documentation belongs here)
