import { ActionIcon } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";

import { CrossIcon } from "./icons.tsx";

interface DrawerProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

/** Something to look at beside the page. The browser's own dialog keeps the focus inside, closes on Escape, and gives the focus back. */
export function Drawer({ title, onClose, children }: DrawerProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      shown?.close();
    };
  }, []);
  return (
    // A click outside lands on the dialog itself; Escape does the same for the keyboard.
    // eslint-disable-next-line jsx-a11y-x/no-noninteractive-element-interactions, jsx-a11y-x/click-events-have-key-events
    <dialog
      ref={dialog}
      className="drawer"
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div className="drawer-inside">
        <header>
          <h2>{title}</h2>
          <ActionIcon variant="subtle" color="gray" size={32} aria-label="Close" onClick={onClose}>
            <CrossIcon />
          </ActionIcon>
        </header>
        {children}
      </div>
    </dialog>
  );
}
