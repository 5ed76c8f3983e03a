#![no_main]
cosmosmesh_fuzz::door!("confidentiality block");
