// Mixes 32 bits so that every input bit reaches every output bit, for one number or four. It is the finalizer of
// MurmurHash3 (Appleby), the same as mixBits in src/random.ts. This file is part of kernels.

fn mix_bits(value: u32) -> u32 {
  var bits = value;
  bits = (bits ^ (bits >> 16u)) * 0x85ebca6bu;
  bits = (bits ^ (bits >> 13u)) * 0xc2b2ae35u;
  return bits ^ (bits >> 16u);
}

fn mix_lanes(value: vec4u) -> vec4u {
  var bits = value;
  bits = (bits ^ (bits >> vec4u(16u))) * 0x85ebca6bu;
  bits = (bits ^ (bits >> vec4u(13u))) * 0xc2b2ae35u;
  return bits ^ (bits >> vec4u(16u));
}
