/** A grey shape where something will stand: in its final size, and only after 200 ms of waiting. */
export function Bone({ height, width = "100%" }: { height: number; width?: number | string }) {
  return <div className="bone" style={{ height, width }} aria-hidden="true" />;
}
