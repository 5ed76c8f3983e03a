#![no_main]
cosmosmesh_fuzz::door!("administrative record");
