#![no_main]
cosmosmesh_fuzz::door!("member");
