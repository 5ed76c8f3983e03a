#![no_main]
cosmosmesh_fuzz::door!("integrity block");
