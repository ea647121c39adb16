// gemm[32x64x16] 50x70x21
// fp16 is stored as f32 (4 B for 2 B)

@group(0) @binding(0) var<storage, read> A: array<f32>; // fp16[50, 21]
@group(0) @binding(1) var<storage, read> B: array<f32>; // fp16[21, 70]
@group(0) @binding(2) var<storage, read_write> C: array<f32>; // fp16[50, 70]

var<workgroup> As: array<f32, 1024>; // [32, 16] × 2 buffers
var<workgroup> Bs: array<f32, 2048>; // [16, 64] × 2 buffers

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane_id: u32) {
  let lane = i32(lane_id);
  let x = i32(wid.x);
  let y = i32(wid.y);
  var acc: array<f32, 32>;
  for (var t = 0; t < 2; t++) {
    // As = A[y * 32 : +32, t * 16 : +16]   # up to 1 ahead
    {
      let base = y * 672 + t * 16;
      for (var e = lane; e < 512; e += 64) {
        let r = e / 16;
        let c = e % 16;
        if (y * 32 + r < 50 && t * 16 + c < 21) {
          As[(t % 2) * 512 + r * 16 + c] = A[base + r * 21 + c];
        } else {
          As[(t % 2) * 512 + r * 16 + c] = 0.0;
        }
      }
    }
    // Bs = B[t * 16 : +16, x * 64 : +64]   # up to 1 ahead
    {
      let base = t * 1120 + x * 64;
      for (var e = lane; e < 1024; e += 64) {
        let r = e / 64;
        let c = e % 64;
        if (t * 16 + r < 21 && x * 64 + c < 70) {
          Bs[(t % 2) * 1024 + r * 64 + c] = B[base + r * 70 + c];
        } else {
          Bs[(t % 2) * 1024 + r * 64 + c] = 0.0;
        }
      }
    }
    workgroupBarrier();
    // acc += As · Bs
    for (var kk = 0; kk < 16; kk++) {
      var a_: array<f32, 4>;
      var b_: array<f32, 8>;
      for (var i = 0; i < 4; i++) {
        a_[i] = As[(t % 2) * 512 + (i * 8 + lane / 8) * 16 + kk];
      }
      for (var j = 0; j < 8; j++) {
        b_[j] = Bs[(t % 2) * 1024 + kk * 64 + (j / 4) * 32 + (lane % 8) * 4 + j % 4];
      }
      for (var i = 0; i < 4; i++) {
        for (var j = 0; j < 8; j++) {
          acc[i * 8 + j] = fma(a_[i], b_[j], acc[i * 8 + j]);
        }
      }
    }
  }
  // C[y * 32 : +32, x * 64 : +64] = acc
  {
    let base = y * 2240 + x * 64;
    for (var i = 0; i < 4; i++) {
      for (var j = 0; j < 8; j++) {
        if (y * 32 + i * 8 + lane / 8 < 50 && x * 64 + (j / 4) * 32 + (lane % 8) * 4 + j % 4 < 70) {
          C[base + (i * 8 + lane / 8) * 70 + (j / 4) * 32 + (lane % 8) * 4 + j % 4] = acc[i * 8 + j];
        }
      }
    }
  }
}
