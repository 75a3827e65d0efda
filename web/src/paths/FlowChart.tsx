import { Menu, useComputedColorScheme } from "@mantine/core";
import { type CSSProperties, useMemo, useState } from "react";

import { SERIES_COLOURS } from "../charts/palette.ts";
import { fullNumber, percent, shortNumber } from "../format.ts";
import type { Flow } from "./flow.ts";
import { type Layout, type PlacedNode, bandPath, layoutOf } from "./layout.ts";

/** A column of names needs so many pixels; where there are more columns than room, the picture scrolls inside its frame. */
const COLUMN_PX = 128;

export interface StepActions {
  onFrom: (node: PlacedNode) => void;
  onTo: (node: PlacedNode) => void;
  /** Where steps can be left out by name. */
  onWithout: ((node: PlacedNode) => void) | null;
}

/** How many paths ended at a node; nothing where that cannot be told, or says nothing. */
function endedInWords(node: PlacedNode, last: boolean): string {
  const ended = node.sequences - node.leaving;
  return !last && !node.other && ended > 0 ? `, ${fullNumber(ended)} ended here` : "";
}

interface StepProps {
  node: PlacedNode;
  columns: number;
  total: number;
  actions: StepActions | null;
  onPoint: (key: string | null) => void;
}

function Step({ node, columns, total, actions, onPoint }: StepProps) {
  const scheme = useComputedColorScheme("light");
  const ended = endedInWords(node, node.column === columns - 1);
  const words = `${node.label}: ${fullNumber(node.sequences)} paths${ended}`;
  const style: CSSProperties = { left: `${(node.column / columns) * 100}%`, top: node.top, width: `${100 / columns}%` };
  const bar = { height: node.height, ...(node.colour === null ? {} : { background: SERIES_COLOURS[scheme][node.colour] }) };
  const inside = (
    <>
      <span className="flow-bar" style={bar} />
      <span className="flow-label">
        <span className="cut">{node.label}</span>
        <span className="small quiet tabular">
          {shortNumber(node.sequences)} · {percent(total === 0 ? null : node.sequences / total)}
        </span>
        <span className="unseen">of all paths{ended}</span>
      </span>
    </>
  );
  const pointing = {
    onMouseEnter: () => {
      onPoint(node.key);
    },
    onMouseLeave: () => {
      onPoint(null);
    },
  };
  if (node.other || actions === null) {
    return (
      <div className="flow-step" style={style} title={words} {...pointing}>
        {inside}
      </div>
    );
  }
  return (
    <Menu position="bottom-start" withinPortal>
      <Menu.Target>
        <button
          type="button"
          className="flow-step"
          style={style}
          title={words}
          {...pointing}
          onFocus={() => {
            onPoint(node.key);
          }}
          onBlur={() => {
            onPoint(null);
          }}
        >
          {inside}
        </button>
      </Menu.Target>
      <StepMenu node={node} actions={actions} />
    </Menu>
  );
}

function StepMenu({ node, actions }: { node: PlacedNode; actions: StepActions }) {
  const { onFrom, onTo, onWithout } = actions;
  return (
    <Menu.Dropdown>
      <Menu.Label className="cut flow-menu-name">{node.label}</Menu.Label>
      <Menu.Item
        onClick={() => {
          onFrom(node);
        }}
      >
        Paths that start here
      </Menu.Item>
      <Menu.Item
        onClick={() => {
          onTo(node);
        }}
      >
        Paths that end here
      </Menu.Item>
      {onWithout !== null && (
        <Menu.Item
          onClick={() => {
            onWithout(node);
          }}
        >
          Leave this step out
        </Menu.Item>
      )}
    </Menu.Dropdown>
  );
}

function Bands({ layout, pointed }: { layout: Layout; pointed: string | null }) {
  return (
    <svg className="flow-bands" viewBox={`0 0 ${layout.columns} ${layout.height}`} preserveAspectRatio="none" aria-hidden="true">
      {layout.bands.map((band) => (
        <path key={`${band.from} ${band.to}`} d={bandPath(band)} data-on={band.from === pointed || band.to === pointed} />
      ))}
    </svg>
  );
}

/**
 * A column of boxes for each place, as high as their names are frequent, and bands from each to the next. Boxes are buttons and
 * names are text, so that a keyboard and a screen reader go through it as a mouse does.
 */
export function FlowChart({ flow, total, heads, actions = null }: { flow: Flow; total: number; heads: string[]; actions?: StepActions | null }) {
  const layout = useMemo(() => layoutOf(flow), [flow]);
  const [pointed, setPointed] = useState<string | null>(null);
  const width = layout.columns * COLUMN_PX;
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
    <div className="flow" role="group" aria-label="Steps of paths" tabIndex={0}>
      <div style={{ minWidth: width }}>
        <div className="flow-heads small quiet" style={{ gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))` }}>
          {heads.map((head) => (
            <span key={head} className="cut">
              {head}
            </span>
          ))}
        </div>
        <div className="flow-body" style={{ height: layout.height }}>
          <Bands layout={layout} pointed={pointed} />
          {layout.nodes.map((node) => (
            <Step key={node.key} node={node} columns={layout.columns} total={total} actions={actions} onPoint={setPointed} />
          ))}
        </div>
      </div>
    </div>
  );
}
