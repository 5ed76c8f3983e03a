//! RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305 in base mode, the suite that is used here.
//!
//! The numbers are those of the RFC's machine-readable vectors (`test-vectors.json` of draft-irtf-cfrg-hpke at 5f503c5), as the Python package
//! `cryptography_vectors` 50.0.2 carries them, with the sequence numbers that the RFC prints.

use super::{EncappedKey, Kem, PrivateKey};
use alloc::vec::Vec;
use core::convert::Infallible;
use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, setup_receiver, setup_sender_with_rng,
};
use rand_core::{TryCryptoRng, TryRng};

const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
const IKM_E: &str = "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b";
const IKM_R: &str = "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df";
const SK_R: &str = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb";
const PK_R: &str = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
const ENC: &str = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
const PLAINTEXT: &str = "4265617574792069732074727574682c20747275746820626561757479";
/// Sequence number and ciphertext; the associated data is `Count-` and the number.
const CIPHERTEXTS: [(u32, &str); 6] = [
    (0, "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"),
    (1, "6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c"),
    (2, "71146bd6795ccc9c49ce25dda112a48f202ad220559502cef1f34271e0cb4b02b4f10ecac6f48c32f878fae86b"),
    (4, "63357a2aa291f5a4e5f27db6baa2af8cf77427c7c1a909e0b37214dd47db122bb153495ff0b02e9e54a50dbe16"),
    (255, "18ab939d63ddec9f6ac2b60d61d36a7375d2070c9b683861110757062c52b8880a5f6b3936da9cd6c23ef2a95c"),
    (256, "7a4a13e9ef23978e2c520fd4d2e757514ae160cd0cd05e556ef692370ca53076214c0c40d4c728d6ed9e727a5b"),
];
/// Exporter context and 32 exported bytes.
const EXPORTS: [(&str, &str); 3] = [
    ("", "4bbd6243b8bb54cec311fac9df81841b6fd61f56538a775e7c80a9f40160606e"),
    ("00", "8c1df14732580e5501b00f82b10a1647b40713191b7c1240ac80e2b68808ba69"),
    ("54657374436f6e74657874", "5acb09211139c43b3090489a9da433e8a30ee7188ba8b0a9a1ccf0c229283e53"),
];

/// A generator that gives these bytes, once.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only keying material is drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only keying material is drawn")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<u8>>());
        Ok(())
    }
}

impl TryCryptoRng for Given {}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn associated(number: u32) -> Vec<u8> {
    alloc::format!("Count-{number}").into_bytes()
}

#[test]
fn the_rfcs_vectors_of_the_base_mode_hold_at_both_ends() {
    let (derived, public) = Kem::derive_keypair(&hex(IKM_R));
    let private = PrivateKey::from_bytes(&hex(SK_R)).unwrap();
    // RFC 9180 §7.1.2: a private key is clamped when it is written, and that of the vectors is not.
    assert_eq!(derived.to_bytes().to_vec(), private.to_bytes().to_vec());
    assert_eq!(public.to_bytes().to_vec(), hex(PK_R));
    let (info, mut rng) = (hex(INFO), Given(hex(IKM_E)));
    let (enc, mut sender) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeS::Base, &public, &info, &mut rng)
            .unwrap();
    assert_eq!(enc.to_bytes().to_vec(), hex(ENC));
    let enc = EncappedKey::from_bytes(&hex(ENC)).unwrap();
    let mut receiver =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeR::Base, &private, &enc, &info).unwrap();
    let plaintext = hex(PLAINTEXT);
    for number in 0..=256 {
        let sealed = sender.seal(&plaintext, &associated(number)).unwrap();
        if let Some((_, expected)) = CIPHERTEXTS.iter().find(|(known, _)| *known == number) {
            assert_eq!(sealed, hex(expected), "sequence number {number}");
        }
        assert_eq!(receiver.open(&sealed, &associated(number)).unwrap(), plaintext);
    }
    for (context, expected) in EXPORTS {
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        sender.export(&hex(context), &mut ours).unwrap();
        receiver.export(&hex(context), &mut theirs).unwrap();
        assert_eq!((ours.to_vec(), theirs.to_vec()), (hex(expected), hex(expected)));
    }
}
