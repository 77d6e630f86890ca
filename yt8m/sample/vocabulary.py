"""Names for the classes of the built-in sample."""

_EXTRAS = (
    "Vintage", "Modern", "Miniature", "Outdoor", "Indoor", "Electric", "Wooden", "Portable", "Traditional", "Professional",
    "Custom", "Underwater", "Winter", "Summer", "Urban", "Rural", "Experimental", "Classic", "Junior", "Giant", "Handmade",
    "Digital", "Antique", "Folding", "Racing", "Training", "Festival", "Seaside", "Mountain", "Coastal", "Japanese", "Italian",
    "Brazilian", "Scottish", "Nordic", "Tropical",
)  # fmt: skip

# Vertical -> its umbrella class, two kinds of it, and in turn a leaf of the first kind and one of the second.
VERTICALS = {
    "Arts & Entertainment": (
        "Musical instrument", "String instrument", "Percussion", "Violin", "Drum kit", "Cello", "Marimba", "Ukulele",
        "Snare drum",
    ),
    "Autos & Vehicles": (
        "Vehicle", "Car", "Motorcycle", "Sports car", "Scooter", "Pickup truck", "Dirt bike", "Minivan", "Moped",
    ),
    "Sports": (
        "Sport", "Ball game", "Board sport", "Volleyball", "Surfing", "Handball", "Snowboarding", "Cricket", "Skateboarding",
    ),
    "Food & Drink": (
        "Food", "Baking", "Street food", "Birthday cake", "Taco", "Bread", "Noodle", "Cupcake", "Pancake",
    ),
    "Pets & Animals": (
        "Animal", "Dog", "Bird", "Beagle", "Parrot", "Border collie", "Owl", "Dachshund", "Penguin",
    ),
    "Games": (
        "Game", "Board game", "Arcade game", "Chess", "Pinball", "Go", "Fighting game", "Backgammon", "Platform game",
    ),
    "Hobbies & Leisure": (
        "Hobby", "Handicraft", "Model building", "Knitting", "Model aircraft", "Origami", "Rail transport modelling",
        "Crochet", "Slot car",
    ),
    "Home & Garden": (
        "Home", "Gardening", "Furniture", "Bonsai", "Bookcase", "Orchid", "Rocking chair", "Compost", "Bunk bed",
    ),
    "Travel": (
        "Travel", "Landmark", "Public transport", "Lighthouse", "Tram", "Castle", "Ferry", "Waterfall", "Cable car",
    ),
    "Science": (
        "Science", "Astronomy", "Robotics", "Eclipse", "Robotic arm", "Telescope", "Quadcopter", "Meteor", "Hexapod",
    ),
    "Beauty & Fitness": (
        "Fashion", "Hairstyle", "Physical fitness", "Braid", "Yoga", "Bob cut", "Pull-up", "Dreadlocks", "Aerobics",
    ),
    "Computers & Electronics": (
        "Gadget", "Mobile phone", "Camera", "Smartphone", "Camcorder", "Flip phone", "Action camera", "Tablet computer",
        "Rangefinder",
    ),
}  # fmt: skip

COLUMNS = ("Index", "TrainVideoCount", "KnowledgeGraphId", "Name", "WikiUrl", "Vertical1", "Vertical2", "Vertical3",
           "WikiDescription")  # fmt: skip


def vertical(topic):
    """Name of a topic, an index from 0 up."""
    return list(VERTICALS)[topic % len(VERTICALS)]


def name(topic, position):
    """Name of the class at a position (from 0 up) of a topic; position 0 is the umbrella class. No two are equal."""
    words = VERTICALS[vertical(topic)]
    again, base = divmod(position, len(words))
    again += topic // len(VERTICALS) * 1000
    if not again:
        return words[base]
    round_, extra = divmod(again - 1, len(_EXTRAS))
    number = f" ({round_ + 1})" if round_ else ""
    return f"{_EXTRAS[extra]} {words[base].lower()}{number}"


def row(label_id, train_videos, class_name, topic):
    """A line of vocabulary.csv, values in the order of COLUMNS."""
    url = "https://en.wikipedia.org/wiki/" + class_name.replace(" ", "_")
    text = f"{class_name} is a made-up class of the built-in sample; its frames are drawn from a random generator."
    return (label_id, train_videos, f"/s/{label_id:04d}", class_name, url, vertical(topic), "", "", text)
