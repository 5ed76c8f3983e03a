#![no_main]
cosmosmesh_fuzz::door!("bundle, lenient");
