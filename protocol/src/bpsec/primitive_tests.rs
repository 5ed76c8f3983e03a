use super::*;
use crate::bundle::arbitrary::unhex;

/// RFC 4231, test case 2.
#[test]
fn hmac_meets_the_vectors_of_rfc_4231() {
    let (key, parts) = (b"Jefe", [&b"what do ya want "[..], b"for nothing?"]);
    for (variant, expected) in [
        (ShaVariant::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            ShaVariant::Sha384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
    ] {
        assert_eq!(variant.make(key, &parts), unhex(expected));
        assert_eq!(variant.output_len(), expected.len() / 2);
        assert!(variant.holds(key, &parts, &unhex(expected)));
        assert!(!variant.holds(key, &parts, &unhex(expected)[..16]));
    }
}

/// RFC 3394 §4.1 and §4.6.
#[test]
fn key_wrap_meets_the_vectors_of_rfc_3394() {
    for (kek, key, wrapped) in [
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
        ),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ] {
        assert_eq!(wrap(&unhex(kek), &unhex(key)), Ok(unhex(wrapped)));
        assert_eq!(unwrap(&unhex(kek), &unhex(wrapped)), Ok(unhex(key)));
        let mut forged = unhex(wrapped);
        forged[3] ^= 1;
        assert_eq!(unwrap(&unhex(kek), &forged), Err(BpsecError::Unwrap));
    }
    assert_eq!(wrap(&[0; 16], &[0; 17]), Err(BpsecError::KeyLength { found: 17 }));
    assert_eq!(wrap(&[0; 17], &[0; 16]), Err(BpsecError::KeyLength { found: 17 }));
    assert_eq!(unwrap(&[0; 16], &[0; 160]), Err(BpsecError::Unwrap));
    assert_eq!(unwrap(&[0; 16], &[]), Err(BpsecError::Unwrap));
}

/// The test cases 4 to 6 of the GCM specification (McGrew and Viega): vectors of 12, 8 and, refused, 60 bytes.
#[test]
fn initialisation_vectors_of_8_to_16_bytes_are_taken() {
    let key = unhex("feffe9928665731c6d6a8f9467308308");
    let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plaintext = unhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    for (iv, tag) in [
        ("cafebabefacedbaddecaf888", "5bc94fbc3221a5db94fae95ae7121a47"),
        ("cafebabefacedbad", "3612d2e79e3b0785561be14aaca2fccb"),
    ] {
        let (iv, mut data) = (unhex(iv), plaintext.clone());
        let found = AesVariant::A128Gcm.encrypt(&key, &iv, &aad, &mut data).unwrap();
        assert_eq!(found.as_slice(), unhex(tag));
        assert_eq!(AesVariant::A128Gcm.decrypt(&key, &iv, &aad, &mut data, &found), Ok(true));
        assert_eq!(data, plaintext);
    }
    for length in 0..20 {
        let found = AesVariant::A256Gcm.encrypt(&[0; 32], &[0; 20][..length], &[], &mut []);
        let expected = Err(BpsecError::IvLength { found: length });
        assert_eq!(found.map(drop), if (8..=16).contains(&length) { Ok(()) } else { expected });
    }
    let short = AesVariant::A256Gcm.encrypt(&key, &[0; 12], &[], &mut []);
    assert_eq!(short, Err(BpsecError::KeyLength { found: 16 }));
}
