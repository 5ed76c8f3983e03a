//! Newtypes for physical quantities in SI units.

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!("{} ", $unit), self.0)
            }
        }
    };
}

quantity!(/** A length in metres. */ Meters, "m");
quantity!(/** A data rate in bits per second. */ BitsPerSecond, "bit/s");
quantity!(/** A ratio in decibels. */ Decibels, "dB");
quantity!(/** A frequency or bandwidth in hertz. */ Hertz, "Hz");
quantity!(/** An energy in joules. */ Joules, "J");
quantity!(/** A power in watts. */ Watts, "W");
