// What a scene draws, as k3d's objects. Lengths are shares of the box's longest edge.

const FIELD = 30; // degrees of the camera's view, from top to bottom
const VIEW = [-0.45, -0.75, 0.6]; // from the middle of the box towards the camera
const MARGIN = 1.12; // of the distance at which the box fills the view
const SPREAD = 40; // opacity that a ray gathers across a box of the brightest level
const STEPS = 2; // of a ray across a voxel, so that none is stepped over
const POINT = 0.007; // diameter of a point
const APART = 0.05; // words and bar from the box
const IDS = { volume: 1, points: 2, box: 3, bar: 4 };

const floats = (numbers) => ({ data: Float32Array.from(numbers), shape: [numbers.length] });
const none = () => floats([]);
const noColours = () => ({ data: new Uint32Array(0), shape: [0] });
const inPlace = () => floats([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
const colourMap = (stops) => floats(stops.flatMap((stop, i) => [i / (stops.length - 1), ...stop]));

// Opaque in proportion to the level, and nothing below the threshold (signed: nearer to the middle).
function opacity(threshold, signed) {
  const edge = 1e-4;
  if (!signed) return floats([0, 0, threshold, 0, threshold + edge, threshold, 1, 1]);
  const [low, high] = [0.5 - threshold / 2, 0.5 + threshold / 2];
  return floats([0, 1, low - edge, threshold, low, 0, high, 0, high + edge, threshold, 1, 1]);
}

async function volumeObject({ name, size: [x, y, z], shape, volume }, colours, opacity_function) {
  return {
    id: IDS.volume, type: "Volume", name, visible: true, interpolation: true, shadow: "off",
    volume: { data: await unpacked(volume, Uint8Array), shape: [...shape].reverse() },
    model_matrix: floats([x, 0, 0, x / 2, 0, y, 0, y / 2, 0, 0, z, z / 2, 0, 0, 0, 1]),
    color_map: colourMap(colours), color_range: [0, 1], opacity_function,
    alpha_coef: SPREAD, samples: STEPS * Math.max(...shape), gradient_step: 0.5 / Math.max(...shape),
    mask: { data: new Uint8Array(0), shape: [0] }, mask_opacities: none(),
  };
}

async function pointsObject({ name, size, points }, colours) {
  const steps = await unpacked(points, Uint16Array);
  const positions = Float32Array.from(steps, (step, i) => (step / 65535) * size[i % 3]);
  const count = positions.length / 3;
  const heights = Float32Array.from({ length: count }, (_, i) => positions[3 * i + 2]);
  return {
    id: IDS.points, type: "Points", name, visible: true, shader: "flat", mesh_detail: 2,
    positions: { data: positions, shape: [count, 3] }, attribute: { data: heights, shape: [count] },
    color_map: colourMap(colours), color_range: [0, size[2]], colors: noColours(), color: 0xffffff,
    opacity: 1, opacities: none(), opacity_function: none(), point_size: POINT, point_sizes: none(),
    model_matrix: inPlace(),
  };
}

function line(id, color, width, shader, corners) {
  return {
    id, type: "Line", visible: true, color, width, shader, radial_segments: 8, opacity: 1,
    vertices: { data: Float32Array.from(corners), shape: [corners.length / 3, 3] },
    attribute: none(), colors: noColours(), color_map: none(), color_range: [], model_matrix: inPlace(),
  };
}

// The box, and a bar of a round length along x at its front.
function frameObjects({ size: [x, y, z], bar }) {
  const floorAndLid = [0, 0, 0, x, 0, 0, x, y, 0, 0, y, 0, 0, 0, 0, 0, 0, z, x, 0, z, x, y, z, 0, y, z, 0, 0, z];
  const pillars = [0, y, z, 0, y, 0, x, y, 0, x, y, z, x, 0, z, x, 0, 0];
  return [
    line(IDS.box, 0x4a5160, 0.002, "simple", [...floorAndLid, ...pillars]),
    line(IDS.bar, 0xffffff, 0.008, "mesh", [0, -APART, 0, bar.length, -APART, 0]),
  ];
}

// Words and where they stand: under the bar, and beyond the ends of the axes.
function names({ size: [x, y, z], bar }) {
  return [[bar.words, [bar.length / 2, -2.8 * APART, 0]], ["x", [x + APART, 0, 0]], ["y", [0, y + APART, 0]], ["z", [0, 0, z + APART]]];
}

// Where a camera shows a place, in per cent of the picture from its upper left.
function seen(camera, place) {
  const times = ({ elements }, v) => v.map((_, row) => v.reduce((sum, part, i) => sum + elements[4 * i + row] * part, 0));
  const [right, up, , depth] = times(camera.projectionMatrix, times(camera.matrixWorldInverse, [...place, 1]));
  return [50 + (50 * right) / depth, 50 - (50 * up) / depth];
}

// The nearest camera towards VIEW that sees all corners of the box and the bar's words: its place, its aim,
// and what is up.
function firstCamera({ size, bar }, width, height) {
  const dot = (a, b) => a.reduce((sum, part, i) => sum + part * b[i], 0);
  const unit = (v) => v.map((part) => part / Math.hypot(...v));
  const back = unit(VIEW), right = unit([-back[1], back[0], 0]);
  const up = [0, 1, 2].map((i) => back[(i + 1) % 3] * right[(i + 2) % 3] - back[(i + 2) % 3] * right[(i + 1) % 3]);
  const tall = Math.tan((FIELD * Math.PI) / 360), wide = (tall * width) / height;
  const middle = size.map((edge) => edge / 2);
  const corners = Array.from({ length: 8 }, (_, corner) => size.map((edge, i) => (corner & (1 << i) ? edge : 0)));
  let distance = 0;
  for (const place of [...corners, names({ size, bar })[0][1]]) {
    const from = place.map((part, i) => part - middle[i]);
    const needed = Math.max(Math.abs(dot(from, right)) / wide, Math.abs(dot(from, up)) / tall);
    distance = Math.max(distance, needed + dot(from, back));
  }
  return [...middle.map((part, i) => part + MARGIN * distance * back[i]), ...middle, 0, 0, 1];
}
