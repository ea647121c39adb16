// gemm of bytes[32x32x16] 64x64x32

@group(0) @binding(0) var<storage, read> A: array<u32>; // int8[64, 32]
@group(0) @binding(1) var<storage, read> B: array<u32>; // int8[32, 64]
@group(0) @binding(2) var<storage, read_write> C: array<vec4<i32>>; // int32[64, 64]

var<workgroup> As: array<u32, 256>; // [32, 16] × 2 buffers
var<workgroup> Bs: array<u32, 256>; // [16, 32] × 2 buffers
var<workgroup> Aw: array<i32, 512>; // [32, 16]
var<workgroup> Bw: array<i32, 512>; // [16, 32]

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
    // Aw = fma(As, 1, 0)
    {
      for (var e = lane; e < 512; e += 64) {
        let r = e / 16;
        let c = e % 16;
        Aw[r * 16 + c] = (extractBits(bitcast<i32>(As[((t % 2) * 512 + r * 16 + c) / 4]), u32((((t % 2) * 512 + r * 16 + c) % 4) * 8), 8u) * 1 + 0);
      }
    }
    // Bw = fma(Bs, 1, 0)
    {
      for (var e = lane; e < 512; e += 64) {
        let r = e / 32;
        let c = e % 32;
        Bw[r * 32 + c] = (extractBits(bitcast<i32>(Bs[((t % 2) * 512 + r * 32 + c) / 4]), u32((((t % 2) * 512 + r * 32 + c) % 4) * 8), 8u) * 1 + 0);
      }
    }
    workgroupBarrier();
    // acc += Aw · Bw
    for (var kk = 0; kk < 16; kk++) {
      var a_: array<i32, 4>;
      var b_: array<i32, 4>;
      for (var i = 0; i < 4; i++) {
        a_[i] = Aw[(i * 8 + lane / 8) * 16 + kk];
      }
      for (var j = 0; j < 4; j++) {
        b_[j] = Bw[kk * 32 + (j / 4) * 32 + (lane % 8) * 4 + j % 4];
      }
      for (var i = 0; i < 4; i++) {
        for (var j = 0; j < 4; j++) {
          acc[i * 4 + j] = a_[i] * b_[j] + acc[i * 4 + j];
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
