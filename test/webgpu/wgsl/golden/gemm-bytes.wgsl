// gemm of bytes[32x32x16] 64x64x32
// Aw is not made: the bytes it widens are multiplied as they are
// Bw is not made: the bytes it widens are multiplied as they are

@group(0) @binding(0) var<storage, read> A: array<u32>; // int8[64, 32]
@group(0) @binding(1) var<storage, read> B: array<u32>; // int8[32, 64]
@group(0) @binding(2) var<storage, read_write> C: array<vec4<i32>>; // int32[64, 64]

var<workgroup> As: array<u32, 256>; // [32, 16] × 2 buffers
var<workgroup> Bs: array<u32, 256>; // [16, 32] × 2 buffers

fn transpose_bytes(w: vec4<u32>) -> vec4<u32> {
  let even = vec2<u32>((w.x & 0x00ff00ff) | ((w.y & 0x00ff00ff) << 8), (w.z & 0x00ff00ff) | ((w.w & 0x00ff00ff) << 8));
  let odd = vec2<u32>(((w.x >> 8) & 0x00ff00ff) | (w.y & 0xff00ff00), ((w.z >> 8) & 0x00ff00ff) | (w.w & 0xff00ff00));
  return vec4<u32>(
    (even.x & 0xffff) | (even.y << 16), (odd.x & 0xffff) | (odd.y << 16),
    (even.x >> 16) | (even.y & 0xffff0000), (odd.x >> 16) | (odd.y & 0xffff0000));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {
  let lane = i32(lane_id);
  let x = i32(wid.x);
  let y = i32(wid.y);
  var acc: array<i32, 16>;
  for (var t = 0; t < 2; t++) {
    // As = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
    {
      let base = y * 256 + t * 4;
      for (var e = lane; e < 128; e += 64) {
        let r = e / 4;
        let c4 = e % 4;
        As[(t % 2) * 128 + r * 4 + c4] = A[base + r * 8 + c4];
      }
    }
    // Bs = B[t * 16 : +16, x * 32 : +32]   # up to 1 ahead
    {
      let base = t * 256 + x * 8;
      for (var e = lane; e < 128; e += 64) {
        let r = e / 8;
        let c4 = e % 8;
        Bs[(t % 2) * 128 + r * 8 + c4] = B[base + r * 16 + c4];
      }
    }
    workgroupBarrier();
    // acc += As · Bs
    for (var k4 = 0; k4 < 4; k4++) {
      var a_: array<u32, 4>;
      var b_: vec4<u32>;
      for (var i = 0; i < 4; i++) {
        a_[i] = As[(t % 2) * 128 + (i * 8 + lane / 8) * 4 + k4];
      }
      b_ = transpose_bytes(vec4<u32>(Bs[(t % 2) * 128 + k4 * 32 + lane % 8], Bs[(t % 2) * 128 + (k4 * 4 + 1) * 8 + lane % 8], Bs[(t % 2) * 128 + (k4 * 4 + 2) * 8 + lane % 8], Bs[(t % 2) * 128 + (k4 * 4 + 3) * 8 + lane % 8]));
      for (var i = 0; i < 4; i++) {
        for (var j = 0; j < 4; j++) {
          acc[i * 4 + j] = acc[i * 4 + j] + dot4I8Packed(a_[i], b_[j & 3]);
        }
      }
    }
  }
  // C[y * 32 : +32, x * 32 : +32] = acc
  {
    let base = y * 512 + x * 8;
    for (var i = 0; i < 4; i++) {
      C[base + (i * 8 + lane / 8) * 16 + lane % 8] = vec4<i32>(acc[i * 4], acc[i * 4 + 1], acc[i * 4 + 2], acc[i * 4 + 3]);
    }
  }
}
