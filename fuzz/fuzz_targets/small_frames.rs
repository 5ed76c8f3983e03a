#![no_main]
cosmosmesh_fuzz::door!("small frames");
