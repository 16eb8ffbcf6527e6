/** Says where the map was clicked. */

export const tool = ({ stage, toast }) => {
  const onClick = ({ coordinate: [x, y] }) => toast.note(`${Math.round(x)}, ${Math.round(-y)}`);
  return {
    id: "toy",
    label: "Say the place",
    icon: ["M12 4v16", "M4 12h16"],
    keys: ["Shift+y"],
    order: 110,
    advice: () => [["", "click anywhere"]],
    start: () => stage.map.on("click", onClick),
    stop: () => stage.map.un("click", onClick),
    cancel: () => false,
  };
};
