import { ActionIcon, Menu } from "@mantine/core";
import { Suspense, lazy, memo } from "react";

import { useInView } from "../cohorts/useInView.ts";
import { age } from "../format.ts";
import { goTo } from "../location.ts";
import { toCsv } from "../sql/csv.ts";
import { Bone } from "../ui/Bone.tsx";
import { download } from "../ui/download.ts";
import { CornerIcon, DotsIcon, GripIcon } from "../ui/icons.tsx";
import { useNow } from "../ui/useNow.ts";
import type { Handles } from "./BoardGrid.tsx";
import { titleOf } from "./board.ts";
import type { TileAnswer } from "./boardFeed.ts";
import type { ShownTile } from "./draft.ts";
import { NARROW_COLUMNS } from "./drawn.ts";
import { savePicture } from "./picture.ts";
import { rowsOf } from "./tileRows.ts";

const TileContent = lazy(() => import("./TileContent.tsx"));

/** What can be done with a tile beside looking at it. */
export interface TileActions {
  onEdit: () => void;
  onDuplicate: () => void;
  onRemove: () => void;
}

interface TileFrameProps {
  tile: ShownTile;
  known: TileAnswer | undefined;
  /** The answers are older than they should be. */
  stale: boolean;
  /** The page on which its question can be changed. */
  href: string | null;
  handles: Handles | null;
  actions: TileActions | null;
  /** Nothing but the answer. */
  bare: boolean;
  phone: boolean;
}

/** How old an answer is that should be newer. */
function Late({ asOf, why }: { asOf: number; why: string }) {
  const now = useNow(1_000);
  return (
    <span className="small tile-late" title={why}>
      {age(Math.max(0, now - asOf))}
    </span>
  );
}

const Waiting = () => (
  <div className="tile-waiting" role="status" aria-busy="true" aria-label="Loading">
    <Bone height={16} width="40%" />
    <Bone height={64} />
  </div>
);

/** What of the answer there is: nothing yet, why there is none, or itself. */
function Inside({ tile, known, phone }: Pick<TileFrameProps, "tile" | "known" | "phone">) {
  if (tile.text !== undefined) {
    return (
      // A region that scrolls must be reachable by keyboard.
      // eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex
      <div className="tile-scroll" role="group" aria-label="Text" tabIndex={0}>
        <p className="tile-text">{tile.text}</p>
      </div>
    );
  }
  if (known === undefined) return <Waiting />;
  if (known.answer === null) {
    return (
      <div className="tile-problem" role="alert">
        <p>{known.error?.message}</p>
        {known.error?.field !== undefined && (
          <p className="small quiet">
            In <code>{known.error.field}</code>
          </p>
        )}
      </div>
    );
  }
  return (
    <Suspense fallback={<Waiting />}>
      <TileContent tile={tile} answer={known.answer} answeredAt={known.asOf} narrow={phone || tile.w <= NARROW_COLUMNS} />
    </Suspense>
  );
}

function TileMenu({ tile, known, href, actions, picture }: Pick<TileFrameProps, "tile" | "known" | "href" | "actions"> & { picture: () => void }) {
  const title = titleOf(tile) === "" ? "text" : titleOf(tile);
  const answer = known?.answer ?? null;
  const csv = () => {
    if (answer === null) return;
    const { names, rows } = rowsOf(tile, answer);
    download(`${title}.csv`, "text/csv", toCsv(names, rows));
  };
  if (answer === null && href === null && actions === null) return null;
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon className="tile-menu" variant="subtle" color="gray" size={24} aria-label={`More: ${title}`}>
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {href !== null && (
          <Menu.Item
            onClick={() => {
              goTo(href);
            }}
          >
            Open the question
          </Menu.Item>
        )}
        {answer !== null && <Menu.Item onClick={csv}>Download CSV</Menu.Item>}
        {answer !== null && <Menu.Item onClick={picture}>Download PNG</Menu.Item>}
        {actions !== null && (
          <>
            <Menu.Divider />
            <Menu.Item onClick={actions.onEdit}>{tile.text === undefined ? "Rename" : "Edit the text"}</Menu.Item>
            <Menu.Item onClick={actions.onDuplicate}>Duplicate</Menu.Item>
            <Menu.Item color="red" onClick={actions.onRemove}>
              Remove
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

/** A tile: its title, its answer in whatever state it is, and what can be done with it. */
export const TileFrame = memo(function TileFrame(props: TileFrameProps) {
  const { tile, known, stale, handles, bare, phone } = props;
  const [element, seen] = useInView<HTMLElement>();
  const title = titleOf(tile);
  const late = known?.answer !== null && known?.error !== null && known !== undefined;
  const picture = () => {
    if (element.current !== null) void savePicture(element.current, `${title === "" ? "tile" : title}.png`);
  };
  return (
    <article ref={element} className="panel tile" data-stale={stale || late} data-text={tile.text !== undefined} aria-label={title === "" ? "Text" : title}>
      <header className="tile-head" onPointerDown={handles?.onMoveDown} data-movable={handles !== null}>
        {handles !== null && (
          <button type="button" className="tile-grip" aria-label={`Arrange ${title === "" ? "the text" : title}: arrows move, with Shift they resize`} onKeyDown={handles.onKeyDown}>
            <GripIcon />
          </button>
        )}
        {title !== "" && (
          <h2 className="cut" title={title}>
            {title}
          </h2>
        )}
        {late && (
          <Late asOf={known.asOf} why={known.error?.message ?? ""} />
        )}
        {!bare && (
          // A press on the menu moves nothing.
          <span
            className="tile-end"
            onPointerDown={(event) => {
              event.stopPropagation();
            }}
          >
            <TileMenu {...props} picture={picture} />
          </span>
        )}
      </header>
      <div className="tile-body">
        {seen && <Inside tile={tile} known={known} phone={phone} />}
      </div>
      {handles !== null && (
        // The grip does the same by keys.
        <span className="tile-corner" aria-hidden="true" onPointerDown={handles.onSizeDown}>
          <CornerIcon />
        </span>
      )}
    </article>
  );
});
