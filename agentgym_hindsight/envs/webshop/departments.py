"""The departments of the embedded shop: their product kinds, category paths and properties.

The table has one paragraph per department::

    = category : option profile : Path › of › the › department
    is …      properties before the noun ("easy (to) use": texts have "to", attributes do not)
    with …    materials and parts
    for …     purposes and users
    - query | rest of the path | nouns of the titles | lowest-highest price

The words were written for this shop. The option values depend on the profile, see ``options.py``.
"""

from __future__ import annotations

__all__ = ["DEPARTMENTS"]

DEPARTMENTS = """
= beauty : liquid : Beauty & Personal Care › Hair Care
is sulfate free, paraben free, cruelty free, color safe, long lasting
is leave in, alcohol free, salon grade, deep cleansing
with argan oil, coconut oil, tea tree, aloe vera, keratin protein, natural ingredients, shea butter, vitamin e
for dry hair, damaged hair, hair growth, hair loss, curly hair, fine hair, oily scalp, split ends, color treated hair
- shampoo & conditioner | Shampoo & Conditioner › Shampoos | Repair Shampoo; Moisturizing Shampoo; Hair Wash | 7-38
- hair conditioner | Shampoo & Conditioner › Conditioners | Smoothing Conditioner; Cream Rinse | 7-36
- hair treatment oils | Hair & Scalp Treatments › Oils & Serums | Hair Oil; Overnight Hair Serum | 8-45
- hair masks | Hair & Scalp Treatments › Hair Masks | Hair Mask; Deep Repair Mask | 8-42
- styling products | Styling Products › Creams & Gels | Curl Cream; Styling Gel; Hair Pomade | 6-30
- dry shampoo | Styling Products › Dry Shampoos | Dry Shampoo Powder; Dry Shampoo Spray | 6-28

= beauty : hairpiece : Beauty & Personal Care › Hair Care › Extensions & Wigs
is heat resistant, natural looking, easy (to) wear, tangle free, high quality
is double weft, easy (to) apply, skin friendly
with synthetic fiber, human hair, lace front, baby hair, adjustable straps, breathable cap
for black women, daily party, hair extensions, cosplay party, hair salon, thin hair
- wigs | Wigs | Lace Front Wig; Short Bob Wig; Long Wavy Wig | 15-120
- hair extensions | Hair Extensions | Clip In Hair Extensions; Tape In Extensions | 12-140
- hairpieces | Hairpieces | Ponytail Hairpiece; Messy Bun Hair Piece | 8-40
- wig caps | Wig Caps | Stretch Wig Cap; Mesh Dome Cap | 5-18

= beauty : tool : Beauty & Personal Care › Hair Care › Styling Tools & Appliances
is easy (to) use, fast heating, long lasting, non slip, dual voltage
is travel size, light weight, cord less, quick drying
with ceramic plate, stainless steel, negative ion, heat protection, carbon fiber, lcd display
for hair styling, thick hair, hair dryer, hair salon, home salon, wet hair
- hair dryers | Hair Dryers & Accessories › Hair Dryers | Ionic Hair Dryer; Blow Dryer | 18-130
- curling irons | Irons › Curling Irons | Curling Wand; Barrel Curling Iron | 16-90
- flat irons | Irons › Straightening Irons | Hair Straightener; Flat Iron | 18-110
- hair brushes | Combs & Brushes › Hair Brushes | Paddle Brush; Detangling Brush | 5-26
- hair clippers | Hair Cutting Tools › Hair Clippers | Hair Clipper Kit; Beard Trimmer | 18-95
- hot air brushes | Irons › Hot Air Brushes | Hot Air Brush; Volumizing Styler Brush | 22-85

= beauty : liquid : Beauty & Personal Care › Skin Care › Face
is fragrance free, oil free, anti aging, fast absorbing, cruelty free
is dermatologist tested, paraben free, clinically proven
with hyaluronic acid, vitamin c, green tea, salicylic acid, natural ingredients, rose water, jojoba oil, snail mucin
for sensitive skin, dry skin, fine lines, dark circles, acne prone skin, oily skin, dead skin, skin tone, dark spots
- face moisturizer | Creams & Moisturizers › Face Moisturizers | Face Moisturizer; Day Cream; Night Cream | 9-62
- face serum | Treatments & Masks › Serums | Brightening Serum; Firming Serum | 10-75
- facial cleansing | Cleansers › Washes | Foaming Face Wash; Gel Cleanser | 6-34
- face masks | Treatments & Masks › Masks | Clay Face Mask; Sheet Mask Set | 6-36
- eye treatments | Eyes › Creams | Eye Cream; Under Eye Gel | 9-58
- toners | Toners & Astringents | Hydrating Toner; Facial Mist | 8-32
- lip care | Lip Care › Balms & Moisturizers | Lip Balm; Lip Sleeping Mask | 4-22

= beauty : liquid : Beauty & Personal Care › Skin Care › Body
is fast absorbing, non greasy, cruelty free, long lasting, paraben free, plant based, certified organic, travel size
with coconut oil, shea butter, cocoa butter, sea salt, aloe vera, essential oils, dead sea minerals
for dry skin, cracked heels, stretch marks, rough elbows, sensitive skin, dead skin, after shower
- body lotion | Moisturizers › Lotions | Body Lotion; Body Milk | 6-34
- body scrubs | Scrubs & Body Treatments › Scrubs | Sugar Body Scrub; Salt Scrub | 7-36
- body butter | Moisturizers › Butters | Whipped Body Butter; Body Cream | 8-30
- bath salts | Bath › Bath Salts & Soaks | Bath Salts; Mineral Soak | 8-30
- sunscreens | Sunscreens & Tanning › Sunscreens | Mineral Sunscreen; Sun Stick | 9-36

= beauty : makeup : Beauty & Personal Care › Makeup
is long lasting, cruelty free, highly pigmented, easy (to) apply, water proof
is smudge proof, paraben free, easy (to) carry
with vitamin e, matte finish, rose petals, natural ingredients, satin finish, fine mist
for daily makeup, eye makeup, sensitive skin, fine lines, stage makeup, beginner artists
- lipstick | Lips › Lipsticks | Matte Lipstick; Satin Lipstick | 5-28
- lip gloss | Lips › Lip Glosses | Plumping Lip Gloss; Glitter Lip Gloss | 5-24
- eyeshadow | Eyes › Eyeshadow | Eyeshadow Palette; Shimmer Eye Shadow | 7-48
- eyeliner & mascara | Eyes › Eyeliner | Liquid Eyeliner; Volume Mascara | 5-26
- foundation | Face › Foundation | Liquid Foundation; Cushion Foundation | 8-42
- blush & bronzer | Face › Blush | Powder Blush; Cream Bronzer | 6-34
- false eyelashes | Eyes › False Eyelashes & Adhesives | False Eyelashes; Lash Clusters | 6-24
- makeup palettes | Makeup Palettes | Face Makeup Palette; Contour Palette | 9-52

= beauty : tool : Beauty & Personal Care › Tools & Accessories
is easy (to) clean, easy (to) carry, double sided, high quality, non slip, eco friendly, easy (to) use, leak proof
with stainless steel, storage case, soft bristles, silicone handle, led light, bamboo handle
for nail art, dead skin, eye makeup, nail polish, travel bottles, beauty salon, face massage
- makeup brushes & tools | Makeup Brushes & Tools › Brush Sets | Makeup Brush Set; Blending Sponge | 6-40
- mirrors | Mirrors › Makeup Mirrors | Lighted Makeup Mirror; Handheld Mirror | 9-85
- nail art & polish | Nail Tools › Nail Art Accessories | Nail Art Kit; Gel Polish Set | 6-44
- bags & cases | Bags & Cases › Cosmetic Bags | Cosmetic Bag; Toiletry Organizer | 8-46
- tweezers | Tweezers | Slant Tweezers; Eyebrow Tweezer Set | 4-20
- refillable containers | Refillable Containers | Travel Bottle Set; Spray Bottle | 5-26
- salon chairs | Salon & Spa Equipment › Chairs | Barber Chair; Rolling Salon Stool | 60-480

= beauty : oral : Beauty & Personal Care › Oral Care
is easy (to) use, fluoride free, bpa free, alcohol free, clinically proven, long lasting, easy (to) clean, travel size
with soft bristles, coconut oil, activated charcoal, storage case, tea tree, baking soda
for sensitive teeth, teeth whitening, bad breath, fresh breath, oral hygiene, kids teeth
- toothbrushes & accessories | Manual Toothbrushes | Toothbrush Set; Electric Toothbrush | 5-90
- toothpaste | Toothpaste | Whitening Toothpaste; Gel Toothpaste | 4-22
- mouthwash | Mouthwash | Mouthwash Rinse; Breath Freshener | 5-26
- dental floss & picks | Dental Floss & Picks › Flossers | Dental Floss; Water Flosser | 4-70
- denture care | Denture Care › Denture Baths | Denture Cup; Retainer Case | 5-20

= beauty : scent : Beauty & Personal Care › Fragrance
is long lasting, alcohol free, travel size, high quality, cruelty free, hand poured
with essential oils, roll on, gift box, citrus notes, woody notes
for daily wear, evening wear, gift set, sensitive skin
- women's fragrance | Women's › Eau de Parfum | Eau de Parfum; Perfume Mist | 12-95
- men's fragrance | Men's › Cologne | Cologne Spray; Aftershave Splash | 12-90
- body sprays | Women's › Body Sprays | Body Spray; Scented Mist | 6-28

= beauty : liquid : Beauty & Personal Care › Personal Care
is anti perspirant, aluminum free, hypo allergenic, certified organic, long lasting
is alcohol free, cruelty free, easy (to) use
with tea tree, witch hazel, natural ingredients, aloe vera, essential oils
for sensitive skin, hair removal, razor bumps, daily use, under arms, men beard
- deodorants & antiperspirants | Deodorants & Antiperspirants › Deodorant | Deodorant Stick; Deodorant Cream | 5-24
- shave & hair removal | Shave & Hair Removal › Women's › Waxing | Wax Warmer Kit; Hair Removal Cream | 7-60
- bath & shower soap | Bath & Bathing Accessories › Bathing › Soaps | Bar Soap; Liquid Body Wash | 5-28
- beard care | Shave & Hair Removal › Men's › Beard & Mustache Care | Beard Oil; Beard Balm | 7-32
- hand soap | Hand, Nail & Foot Care › Hand Soaps | Foaming Hand Soap; Hand Wash Refill | 4-26

= electronics : accessory : Electronics › Headphones, Earbuds & Accessories
is noise cancelling, water resistant, long lasting, easy (to) use, hands free
is light weight, fast charging, sweat proof
with stereo sound, carrying case, deep bass, built in microphone, quick release cable, usb port
for running gym, gaming console, online meetings, air travel, small ears
- headphones | Headphones & Earbuds › Over-Ear Headphones | Over Ear Headphones; Foldable Headset | 16-240
- earbud headphones | Headphones & Earbuds › Earbud Headphones | True Wireless Earbuds; In Ear Earphones | 9-150
- headphone cases | Cases | Earbud Case Cover; Headphone Travel Case | 6-30
- headphone adapters | Adapters | Headphone Jack Adapter; Audio Splitter | 5-24

= electronics : accessory : Cell Phones & Accessories › Cell Phone Accessories
is wireless charging, heavy duty, fast charging, case friendly, easy (to) install
is shock absorbing, ultra thin, non slip
with tempered glass, kick stand, glass screen, carbon fiber, card holder, silicone edge
for wireless charger, screen protector, car mount, bike handlebar, outdoor hiking
- basic cases | Cases, Holsters & Sleeves › Basic Cases | Phone Case; Clear Bumper Case | 6-42
- screen protectors | Maintenance, Upkeep & Repairs › Screen Protectors | Screen Protector; Privacy Screen Film | 5-26
- wallet cases | Cases, Holsters & Sleeves › Wallet Cases | Phone Wallet Case; Flip Cover | 9-40
- chargers & power adapters | Chargers & Power Adapters › Wall Chargers | Wall Charger Block; Charging Dock | 8-60
- portable power banks | Chargers & Power Adapters › Portable Power Banks | Power Bank; Solar Charger | 14-95
- cell phone stands | Stands › Phone Stands | Desk Phone Holder; Selfie Stick Tripod | 7-40

= electronics : memory : Electronics › Computers & Accessories › Computers & Tablets
is high performance, high speed, light weight, energy efficient, aluminum body
is touch screen, easy (to) upgrade, ultra quiet
with six core, eight core, solid state drive, dedicated graphics, usb port, backlit keyboard, wifi card
for home office, business use, school work, video editing, gaming setup
- laptops | Laptops › Traditional Laptops | Business Laptop; Slim Notebook Computer | 260-1900
- tablets | Tablets | Slim Tablet; Reading Tablet | 60-520
- mini computers | Desktops › Minis | Mini PC; Small Desktop Computer | 140-900
- towers | Desktops › Towers | Tower Desktop Computer; Gaming Desktop | 300-2600
- all-in-one computers | Desktops › All-in-Ones | All In One Computer | 350-1700

= electronics : memory : Electronics › Computers & Accessories › Data Storage
is high speed, plug play, shock proof, easy (to) use, wide compatibility, heat resistant
with usb port, metal housing, key ring, aluminum shell, error correction
for digital camera, game console, photo backup, dash camera, school work
- usb flash drives | USB Flash Drives | Flash Drive; Thumb Drive | 6-60
- memory cards | Memory Cards › Micro SD Cards | Memory Card; Micro Card with Adapter | 7-95
- external hard drives | External Data Storage › External Hard Drives | Portable Hard Drive; External Drive | 45-260
- solid state drives | Internal Solid State Drives | Internal Solid State Drive | 28-280

= electronics : cable : Electronics › Computers & Accessories › Accessories
is plug play, high speed, easy (to) install, gold plated, heavy duty, high resolution, tangle free
with usb port, aluminum alloy, braided nylon, power delivery, lcd display, silent clicks
for home office, high definition, dual monitor, game console, small desk
- laptop accessories | Laptop Accessories › Docking Stations | Docking Station; Laptop Hub | 14-160
- usb hubs | USB Hubs | Port USB Hub; Type C Splitter | 9-60
- computer cables | Cables & Interconnects › USB Cables | Charging Cable; Data Sync Cable | 5-28
- keyboards & mice | Keyboards & Mice › Keyboards | Mechanical Keyboard; Compact Keyboard and Mouse | 14-140
- mouse pads | Keyboards & Mice › Mouse Pads | Extended Mouse Pad; Desk Mat | 7-34
- monitors | Monitors | Desktop Monitor; Curved Monitor | 90-620
- ethernet cables | Cables & Interconnects › Ethernet Cables | Flat Ethernet Cable; Network Patch Cord | 5-40

= electronics : plain : Electronics › Television & Video
is high definition, easy (to) use, ultra hd, wall mounted, plug play, remote controlled, dual band
with built in speaker, remote control, batteries included, screen mirroring, surround audio, quad core
for home theater, living room, outdoor movie, bedroom wall
- televisions | Televisions › LED & LCD TVs | Smart Television; LED TV | 120-1900
- projectors | Video Projectors | Mini Projector; Portable Movie Projector | 55-720
- projection screens | Projectors › Projection Screens | Projector Screen; Pull Down Screen | 25-260
- streaming media players | Streaming Media Players | TV Box; Streaming Stick | 22-120
- disc players & recorders | Disc Players & Recorders | Disc Player; Region Free Disc Player | 40-320
- tv mounts | Accessories › TV Mounts | TV Wall Mount; Swivel TV Bracket | 18-130
- remote controls | Accessories › Remote Controls | Replacement Remote Control; Universal Remote | 6-34

= electronics : plain : Electronics › Camera & Photo
is high resolution, easy (to) carry, quick release, light weight, motion detection
is water proof, night vision, easy (to) set
with optical zoom, carrying case, aluminum alloy, steel base, hand strap, wide angle lens
for digital photography, photo studio, video recording, bird watching, baby portrait
- digital cameras | Digital Cameras › Point & Shoot Cameras | Digital Camera; Compact Vlogging Camera | 45-780
- camera lenses | Lenses › Camera Lenses | Camera Lens; Prime Lens | 60-1400
- tripods & monopods | Tripods & Monopods › Tripods | Camera Tripod; Flexible Tripod | 16-180
- photo backgrounds | Lighting & Studio › Photo Studio › Backgrounds | Photo Backdrop; Photo Booth Background | 12-60
- camera bags & cases | Bags & Cases › Camera Cases | Camera Backpack; Lens Pouch | 12-110
- lighting & studio | Lighting & Studio › Lighting › Continuous Output | Ring Light Kit; Softbox Light | 18-170
- binoculars & scopes | Binoculars & Scopes › Binoculars | Compact Binoculars; Spotting Scope | 18-240
- surveillance & security cameras | Video Surveillance › Dome Cameras | Security Camera; Baby Monitor | 20-260

= electronics : plain : Electronics › Home Audio
is wireless bluetooth, easy (to) use, long lasting, water proof, high power, hands free, plug play
with stereo sound, deep bass, fm radio, aux input, remote control, led lights, wooden cabinet
for home theater, pool party, small room, book shelf, car boat
- portable bluetooth speakers | Portable Audio & Video › Bluetooth Speakers | Bluetooth Speaker; Shower Speaker | 14-180
- home theater systems | Home Theater › Sound Bars | Sound Bar; Surround Sound System | 45-520
- subwoofers | Speakers › Subwoofers | Powered Subwoofer; Bass Box | 60-480
- radios | Compact Radios & Stereos › Radios | Portable Radio; Weather Radio | 15-90
- bookshelf speakers | Speakers › Bookshelf Speakers | Bookshelf Speakers; Desktop Speakers | 35-420
- turntables | Turntables & Accessories | Record Player; Vintage Turntable | 50-360

= electronics : cable : Electronics › Accessories & Supplies
is high speed, gold plated, easy (to) install, heavy duty, fast charging, long lasting, high power
with lithium batteries, gold connectors, aluminum housing, braided nylon, usb port
for high definition, dvd player, car stereo, smart home, emergency light
- audio & video cables | Audio & Video Accessories › Cables › HDMI Cables | Video Cable; Audio Cable | 5-45
- batteries | Batteries, Chargers & Accessories › Household Batteries | Rechargeable Batteries; Button Cells | 6-48
- power strips | Power Strips & Surge Protectors › Power Strips | Power Strip; Surge Protector | 12-52
- antennas | Audio & Video Accessories › Antennas | Indoor Antenna; Signal Booster | 15-80
- wall plates & connectors | Audio & Video Accessories › Connectors & Adapters | Wall Plate; Coupler Adapter Set | 5-26

= electronics : band : Electronics › Wearable Technology
is water resistant, quick release, easy (to) install, sweat proof, light weight, long lasting, ultra soft
with stainless steel, silicone strap, heart rate sensor, color display, magnetic clasp
for men women, sports training, sleep tracking, kids school
- smartwatches | Smartwatches | Smart Watch; Fitness Watch | 22-280
- smartwatch bands | Accessories › Smartwatch Bands | Watch Band; Replacement Strap | 6-34
- activity trackers | Activity Trackers | Fitness Tracker; Step Counter Bracelet | 15-120

= electronics : plain : Electronics › Car & Vehicle Electronics
is easy (to) install, plug play, fast charging, hands free, high definition, night vision, heavy duty
with touch screen, remote control, usb port, steering wheel control, parking sensor
for car stereo, pickup truck, rear view, road trip
- car stereos | Car Electronics › Car Audio › Receivers | Car Stereo Receiver; Double Din Radio | 40-380
- dash cameras | Car Electronics › Car Video › Dash Cameras | Dash Camera; Backup Camera Kit | 30-220
- car speakers | Car Electronics › Car Audio › Speakers | Coaxial Car Speakers; Marine Speaker Pair | 25-190
- gps units | GPS & Navigation › Vehicle GPS | GPS Navigator; GPS Tracker | 30-240

= electronics : accessory : Electronics › Video Game Consoles & Accessories
is easy (to) use, plug play, non slip, wireless bluetooth, fast charging, light weight, dust proof
with vibration motor, usb port, carrying case, led lights, back buttons
for game console, two players, mobile gaming, virtual reality
- game controllers | Controllers › Gamepads | Wireless Game Controller; Arcade Stick | 16-95
- gaming headsets | Headsets | Gaming Headset; Chat Headphone | 18-140
- virtual reality headsets | Virtual Reality › Headsets | VR Headset; VR Head Strap | 20-420
- console cases & skins | Cases & Storage | Console Carry Case; Controller Skin | 7-40

= garden : textile : Home & Kitchen › Bedding
is machine washable, super soft, easy (to) clean, wrinkle free, double sided, hypo allergenic, queen size, king size
with memory foam, printing technology, polyester fabric, cotton cover, hidden zipper, goose down
for living room, dining room, hot sleepers, kids bedroom, guest room, dorm bed
- bedding sets | Comforters & Sets › Comforter Sets | Comforter Set; Bed In A Bag | 28-160
- sheets & pillowcases | Sheets & Pillowcases › Sheet & Pillowcase Sets | Bed Sheet Set; Pillowcase Pair | 14-110
- decorative pillows | Decorative Pillows & Covers › Throw Pillow Covers | Throw Pillow Cover; Cushion Case | 8-38
- blankets & throws | Blankets & Throws › Throws | Fleece Throw Blanket; Knitted Throw | 14-80
- bed pillows | Bed Pillows & Positioners › Bed Pillows | Bed Pillow; Side Sleeper Pillow | 16-90
- duvet covers | Duvet Covers & Sets › Duvet Covers | Duvet Cover; Quilt Cover Set | 24-120
- mattresses & box springs | Mattresses › Foam Mattresses | Foam Mattress; Hybrid Mattress | 150-980

= garden : furniture : Home & Kitchen › Furniture › Living Room Furniture
is mid century, easy (to) assemble, assembly required, high density, space saving
is heavy duty, fully assembled, white finish
with solid wood, metal legs, storage space, faux leather, tempered glass, wood frame, memory foam, button tufted
for living room, small spaces, home office, dining room, guest room
- sofas & couches | Sofas & Couches | Convertible Sofa; Loveseat Couch; Sectional Sofa | 180-1500
- coffee tables | Tables › Coffee Tables | Coffee Table; Lift Top Coffee Table | 60-480
- end tables | Tables › End Tables | End Table; Side Table with Shelf | 35-260
- console tables | Tables › Sofa & Console Tables | Console Table; Entryway Table | 60-380
- living room chairs | Chairs | Accent Chair; Recliner Chair; Swivel Armchair | 80-700
- ottomans | Ottomans & Storage Ottomans | Storage Ottoman; Foot Stool | 28-220
- tv stands | Tables › Television Stands & Entertainment Centers | TV Console; Media Cabinet | 80-520

= garden : furniture : Home & Kitchen › Furniture › Bedroom Furniture
is easy (to) assemble, box spring, queen size, twin size, king size, space saving, heavy duty, long lasting
with solid wood, storage drawers, steel frame, wood slats, memory foam, metal handles, led lights
for kids room, guest room, small bedroom, living room, master bedroom
- beds | Beds, Frames & Bases › Beds | Platform Bed; Upholstered Bed Frame; Daybed with Trundle | 120-820
- nightstands | Nightstands | Nightstand; Bedside Table | 40-240
- dressers | Dressers & Chests of Drawers | Drawer Dresser; Chest of Drawers | 80-520
- headboards | Beds, Frames & Bases › Headboards | Upholstered Headboard; Panel Headboard | 70-420
- bunk beds | Beds, Frames & Bases › Bunk Beds | Bunk Bed; Loft Bed | 220-900
- vanities & vanity benches | Vanities & Vanity Benches | Vanity Table; Makeup Desk Set | 90-360

= garden : furniture : Home & Kitchen › Furniture › Office & Dining Furniture
is height adjustable, easy (to) assemble, non slip, heavy duty, assembly required, easy (to) clean, stain resistant
with lumbar support, metal frame, pu leather, high backrest, storage space, solid wood, coated steel
for home office, dining room, kitchen counter, living room, study corner
- desks | Desks › Home Office Desks | Computer Desk; Writing Desk; Corner Desk | 60-520
- office chairs | Chairs › Desk Chairs | Desk Chair; Mesh Task Chair; Executive Chair | 60-420
- bookcases | Bookcases | Bookcase; Ladder Bookshelf | 40-320
- barstools | Bar Stools | Bar Stool Set; Counter Height Stool | 55-380
- dining sets | Dining Room Sets | Dining Table Set; Kitchen Table and Chairs | 130-980
- dining chairs | Kitchen & Dining Chairs | Dining Chair Pair; Side Chair | 70-460
- buffets & sideboards | Buffets & Sideboards | Sideboard Cabinet; Coffee Bar Cabinet | 110-640

= garden : picture : Home & Kitchen › Wall Art
is ready (to) hang, hand painted, easy (to) hang, fade resistant, high quality, eco friendly, self adhesive
with solid wood, stretched canvas, black frame, printing technology, acrylic glass, wooden frame
for living room, dining room, bathroom wall, kids room, office wall
- wall art | Posters & Prints | Canvas Wall Art; Framed Wall Print | 12-180
- paintings | Paintings | Oil Painting; Panel Painting Set | 25-240
- tapestries | Tapestries | Wall Tapestry; Hanging Tapestry | 10-45
- wallpaper & stickers | Wall Stickers & Murals | Peel and Stick Wallpaper; Wall Mural Decal | 9-70
- wall clocks | Clocks › Wall Clocks | Wall Clock; Silent Wall Clock | 14-80

= garden : window : Home & Kitchen › Home Décor Products
is machine washable, easy (to) install, non slip, energy saving, easy (to) clean
is eco friendly, stain resistant, fade resistant
with rod pocket, stainless steel grommets, polyester fabric, blackout lining, latex backing, jute fibers
for living room, dining room, bedroom window, entry way, home decoration
- curtains & drapes | Window Treatments › Curtains & Drapes › Panels | Curtain Panels; Blackout Drapes | 16-90
- blinds & shades | Window Treatments › Blinds & Shades | Roller Shade; Cellular Blind | 18-140
- area rugs | Rugs, Pads & Protectors › Area Rugs | Area Rug; Shag Rug; Runner Rug | 22-420
- doormats | Rugs, Pads & Protectors › Doormats | Door Mat; Entrance Mat | 12-48
- window films | Window Treatments › Window Films | Privacy Window Film; Frosted Glass Film | 8-40
- slipcovers | Slipcovers › Sofa Slipcovers | Sofa Cover; Stretch Couch Cover | 20-90

= garden : fixture : Tools & Home Improvement › Lighting & Ceiling Fans
is easy (to) install, energy efficient, long lasting, height adjustable, assembly required, dimmable led, water proof
with glass shade, clear glass, brushed nickel, bronze finish, metal base, linen shade, remote control
for living room, dining room, kitchen island, bedside table, front porch
- table & floor lamps | Lamps & Shades › Table Lamps | Table Lamp; Reading Lamp | 18-160
- pendants and chandeliers | Ceiling Lights › Pendant Lights | Pendant Light; Hanging Chandelier | 30-420
- floor lamps | Lamps & Shades › Floor Lamps | Floor Lamp; Arc Floor Lamp | 35-220
- wall lights | Wall Lights › Wall Lamps & Sconces | Wall Sconce; Vanity Light | 22-190
- ceiling lights | Ceiling Lights › Close to Ceiling Lights | Flush Mount Light; Drum Ceiling Light | 24-180
- string lights | Outdoor Lighting › String Lights | String Lights; Patio Globe Lights | 12-70

= garden : container : Home & Kitchen › Storage & Organization
is space saving, easy (to) assemble, heavy duty, easy (to) clean, wall mounted, collapsible fabric, long lasting
with metal frame, clear lid, rolling wheels, carry handles, storage bins, coated steel
for living room, laundry room, closet shelf, under bed, shoe storage, toy storage
- storage cabinets | Cabinets & Chests | Storage Cabinet; Tall Pantry Cabinet | 60-360
- shelves & racks | Racks, Shelves & Drawers › Shelving Units | Shelving Unit; Corner Shelf | 20-180
- baskets & bins | Baskets, Bins & Containers | Storage Basket; Stackable Bin Set | 12-60
- shoe racks | Clothing & Closet Storage › Shoe Organizers | Shoe Rack; Shoe Bench | 18-120
- laundry hampers | Laundry Storage › Laundry Hampers | Laundry Hamper; Rolling Laundry Cart | 16-80
- hangers & hooks | Clothing & Closet Storage › Hangers | Clothes Hangers; Over Door Hook Rack | 8-44

= garden : yard : Patio, Lawn & Garden › Patio Furniture & Accessories
is weather resistant, easy (to) assemble, water resistant, heavy duty, rust proof
is fade resistant, folding design, easy (to) clean
with steel frame, wicker rattan, seat cushions, tempered glass, teak wood, umbrella hole
for back yard, pool side, outdoor dining, apartment balcony, front porch
- patio furniture sets | Patio Furniture Sets › Conversation Sets | Patio Conversation Set; Bistro Set | 110-900
- patio chairs | Patio Seating › Chairs | Patio Chair; Folding Lawn Chair | 35-260
- hammocks | Hammocks, Stands & Accessories › Hammocks | Hammock Swing; Hanging Egg Chair | 28-320
- patio umbrellas | Umbrellas & Shade › Umbrellas | Patio Umbrella; Shade Sail | 30-180
- fire pits | Outdoor Heating › Fire Pits | Fire Pit Table; Portable Fire Bowl | 60-420
- furniture covers | Patio Furniture Covers › Table Covers | Patio Furniture Cover; Outdoor Table Cover | 16-80

= garden : pack : Home & Kitchen › Kitchen & Dining
is dishwasher safe, bpa free, easy (to) clean, non stick, lead free, leak proof, double wall, food grade
with stainless steel, bamboo lid, silicone handle, glass lid, ceramic coating
for dining room, coffee bar, baby shower, birthday party, meal prep
- tablecloths | Kitchen & Table Linens › Tablecloths | Tablecloth; Round Table Cover | 10-52
- candles & holders | Candles & Holders › Candles | Scented Candle; Tealight Holder Set | 8-42
- drinkware | Glassware & Drinkware › Tumblers | Insulated Tumbler; Drinking Glass Set | 12-60
- party supplies | Party Supplies › Tableware | Party Plate Set; Cupcake Topper | 6-30
- cookware | Cookware › Skillets | Frying Pan; Sauce Pot | 18-140
- placemats & runners | Kitchen & Table Linens › Placemats | Woven Placemats; Table Runner | 9-38

= fashion : clothes : Clothing, Shoes & Jewelry › Women › Clothing
is long sleeve, short sleeve, machine wash, hand wash, slim fit, loose fit
is high waist, wide leg, light weight, quick drying
with polyester spandex, elastic waist, lace trim, button closure, cotton blend
with drawstring closure, rayon fabric, pockets inside
for daily wear, teen girls, beach vacation, evening party, office work, fall winter
- women's dresses | Dresses › Casual | Midi Dress; Wrap Dress; Maxi Sun Dress | 14-68
- women's blouses & button-down shirts | Tops, Tees & Blouses › Blouses | Chiffon Blouse; Button Down Shirt | 12-48
- women's tops & tees | Tops, Tees & Blouses › T-Shirts | V Neck Tee; Tunic Top; Crop Top | 9-38
- women's sweaters | Sweaters › Pullovers | Knit Pullover Sweater; Cable Knit Cardigan | 16-62
- women's pants | Pants › Casual | Palazzo Pants; Cropped Trousers | 14-56
- women's coats, jackets & vests | Coats, Jackets & Vests › Wool & Pea Coats | Wool Coat; Puffer Vest | 22-130
- women's suits & sets | Suiting & Blazers › Pant Suits | Two Piece Pant Set; Blazer Suit | 24-98
- women's jumpsuits & rompers | Jumpsuits, Rompers & Overalls › Jumpsuits | Wide Leg Jumpsuit; Short Romper | 16-54

= fashion : clothes : Clothing, Shoes & Jewelry › Women › Clothing › Active
is high waist, tummy control, butt lifting, quick drying, moisture wicking
is machine wash, four way stretch, light weight
with nylon spandex, polyester spandex, elastic waistband, side pockets, mesh panel, removable pads
for yoga class, gym workout, daily wear, morning run, teen girls
- women's shorts | Active Shorts | Biker Shorts; Running Shorts | 10-36
- women's leggings | Active Leggings | Yoga Leggings; Workout Tights | 12-48
- sports bras | Sports Bras | Sports Bra; Racerback Bra | 10-40
- active hoodies | Active Hoodies | Zip Up Hoodie; Fleece Sweatshirt | 16-56
- active tops | Active Shirts & Tees | Workout Tank; Athletic Shirt | 9-34

= fashion : shirt : Clothing, Shoes & Jewelry › Men › Clothing
is machine wash, regular fit, slim fit, long sleeve, short sleeve, classic fit
is relaxed fit, wash cold, hand wash, wrinkle free
with cotton spandex, polyester cotton, needle sleeve, button closure, elastic waist
with drawstring closure, heathers cotton, zipper pockets
for daily wear, gym workout, office work, weekend casual, dry low heat, hunting trip
- men's t-shirts & tanks | Shirts › T-Shirts | Graphic T Shirt; Crew Neck Tee | 9-34
- men's shirts | Shirts › Casual Button-Down Shirts | Casual Button Down Shirt; Linen Shirt | 14-58
- men's hoodies & sweatshirts | Fashion Hoodies & Sweatshirts | Pullover Hoodie; Crewneck Sweatshirt | 18-62
- men's pants | Pants › Casual | Chino Pants; Cargo Trousers | 18-72
- men's shorts | Shorts › Cargo | Cargo Shorts; Board Shorts | 14-46
- men's jeans | Jeans | Straight Leg Jeans; Stretch Jeans | 22-88
- men's jackets & coats | Jackets & Coats › Lightweight Jackets | Bomber Jacket; Windbreaker | 24-140
- men's polos | Shirts › Polos | Polo Shirt; Golf Polo | 14-48

= fashion : clothes : Clothing, Shoes & Jewelry › Sleep & Lounge
is machine wash, long sleeve, short sleeve, hand wash, super soft, tumble dry, loose fit, wash cold
with elastic waistband, satin fabric, cotton modal, button front, drawstring closure, lace trim
for daily wear, winter nights, pajama party, maternity nursing, home lounge
- women's sleepwear | Women › Sleepwear › Sets | Pajama Set; Sleep Shirt | 14-48
- women's lingerie | Women › Lingerie › Babydolls | Lace Nightgown; Chemise | 10-40
- men's sleepwear | Men › Sleepwear › Sets | Flannel Pajama Set; Sleep Pants | 16-52
- bathrobes | Women › Sleepwear › Robes | Kimono Robe; Plush Bathrobe | 18-64
- men's underwear | Men › Underwear › Boxer Briefs | Boxer Briefs; Trunk Underwear | 12-44

= fashion : shoes : Clothing, Shoes & Jewelry › Shoes
is non slip, slip resistant, open toe, closed toe, light weight, arch support, water resistant, steel toe, ankle strap
with rubber sole, memory foam, leather sole, ethylene vinyl, synthetic sole, lace closure, faux fur, high heel
for daily wear, walking outdoors, wedding party, restaurant work, trail hiking
- women's sandals | Women › Sandals | Platform Sandals; Slide Sandals | 14-70
- women's pumps | Women › Pumps | Pointed Pumps; Block Heel Pumps | 18-84
- women's boots | Women › Boots › Ankle & Bootie | Ankle Boots; Snow Boots | 22-120
- fashion sneakers | Women › Fashion Sneakers | Canvas Sneakers; Slip On Sneakers | 16-84
- men's loafers & slip-ons | Men › Loafers & Slip-Ons | Penny Loafers; Driving Moccasins | 22-110
- men's athletic shoes | Men › Athletic › Running | Running Shoes; Walking Shoes | 24-130
- men's boots | Men › Boots › Work & Safety | Work Boots; Chukka Boots | 32-170
- slippers | Women › Slippers | House Slippers; Fuzzy Slippers | 10-44

= fashion : clothes : Clothing, Shoes & Jewelry › Women › Clothing › Swimsuits & Cover Ups
is tummy control, quick drying, high waist, hand wash, machine wash, padded bra, cross back
with nylon spandex, removable pads, lace trim, tie closure, mesh panel
for beach vacation, teen girls, pool side, summer surf
- women's swimsuits & cover ups | One-Pieces | One Piece Swimsuit; Monokini | 14-58
- bikini sets | Bikinis › Sets | Bikini Set; Tankini Set | 12-48
- cover ups | Cover-Ups | Beach Cover Up; Kaftan Dress | 12-42

= fashion : jewelry : Clothing, Shoes & Jewelry › Women › Jewelry & Accessories
is nickel free, hypo allergenic, easy (to) match, high quality, hand made, light weight, water proof
with stainless steel, sterling silver, cubic stones, gift box, quartz movement, leather strap, polarized lens
for daily wear, best friend, bridal shower, prom night, mother gift
- women's jewelry | Jewelry › Necklaces | Pendant Necklace; Layered Necklace | 8-75
- earrings | Jewelry › Earrings › Hoop | Hoop Earrings; Stud Earring Set | 6-60
- wrist watches | Watches › Wrist Watches | Analog Watch; Dress Watch | 18-160
- sunglasses | Accessories › Sunglasses & Eyewear Accessories › Sunglasses | Round Sunglasses; Square Sunglasses | 9-60
- handbags & wallets | Handbags & Wallets › Crossbody Bags | Crossbody Bag; Tote Bag | 14-90
- scarves & wraps | Accessories › Scarves & Wraps | Silk Scarf; Shawl Wrap | 8-38
- belts | Accessories › Belts | Leather Belt; Waist Belt | 8-40

= fashion : clothes : Clothing, Shoes & Jewelry › Girls & Boys › Clothing
is machine wash, short sleeve, long sleeve, easy (to) wear, wash cold, super soft, tag free
with cotton polyester, elastic waist, snap closure, cartoon print, tulle skirt
for school uniform, birthday party, toddler girls, daily wear, family photo
- girls' clothing | Girls › Dresses | Girls Party Dress; Twirl Dress | 10-42
- boys' clothing | Boys › Sets | Boys Shirt and Shorts Set; Toddler Tracksuit | 12-40
- baby clothing | Baby › Bodysuits | Baby Bodysuit; Romper Set | 8-34
- costumes & cosplay | Costumes & Cosplay › Costumes | Kids Costume; Dress Up Cape Set | 14-60

= grocery : snack : Grocery & Gourmet Food › Snacks & Sweets
is gluten free, non gmo, low calorie, individually wrapped, low sugar
is keto friendly, fat free, ready (to) eat, nut free
with sea salt, natural ingredients, real fruit, dark chocolate, high fiber, protein serving
for school lunch, road trips, birthday party, office break, trail hiking
- crackers | Snack Foods › Crackers | Seeded Crackers; Rice Crisps | 5-34
- chips & crisps | Snack Foods › Chips & Crisps › Potato | Kettle Chips; Veggie Chips | 5-38
- nuts & seeds | Snack Foods › Nuts & Seeds | Roasted Almonds; Mixed Nuts | 8-46
- chocolate candy | Candy & Chocolate › Chocolate | Chocolate Bars; Truffle Box | 6-44
- hard & gummy candy | Candy & Chocolate › Gummy Candies | Gummy Candy; Fruit Chews | 5-32
- snack bars | Snack Foods › Bars › Nutrition Bars | Granola Bars; Protein Bars | 8-42
- popcorn | Snack Foods › Popcorn › Popped | Popcorn Bags; Caramel Corn | 6-36
- cookies | Cookies › Shortbread | Butter Cookies; Sandwich Cookies | 5-32

= grocery : drink : Grocery & Gourmet Food › Beverages
is caffeine free, sugar free, fair trade, freeze dried, non dairy, low carb, certified organic, artificial flavor free
with natural flavors, antioxidant rich, coconut water, added vitamins, loose leaf
for cold brew, iced drinks, french press, after workout, afternoon tea
- coffee | Coffee, Tea & Cocoa › Coffee › Ground Coffee | Ground Coffee; Coffee Pods | 8-52
- tea | Coffee, Tea & Cocoa › Tea › Herbal | Herbal Tea Bags; Loose Leaf Tea | 5-40
- fruit juice | Water & Drink Mixes › Juices | Fruit Juice; Juice Pouches | 6-40
- powdered drink mixes | Water & Drink Mixes › Powdered Drink Mixes | Drink Mix Packets; Electrolyte Powder | 7-46
- milk substitutes | Dairy & Plant Milk › Milk Substitutes | Oat Drink; Almond Drink | 6-42
- hot cocoa | Coffee, Tea & Cocoa › Hot Cocoa | Hot Cocoa Mix; Drinking Chocolate | 6-34

= grocery : pantry : Grocery & Gourmet Food › Pantry Staples
is gluten free, non gmo, certified organic, low sodium, plant based
is shelf stable, dairy free, easy (to) prepare, kosher certified
with extra virgin, whole grain, natural ingredients, sea salt, simple ingredients
for home baking, salad dressing, quick dinner, holiday meal, slow cooker
- cooking oils | Cooking & Baking › Oils, Vinegars & Salad Dressings › Oils | Olive Oil; Avocado Oil | 8-60
- herbs, spices & seasonings | Herbs, Spices & Seasonings › Mixed Spices | Spice Blend; Grill Seasoning | 5-30
- sauces | Sauces, Gravies & Marinades › Sauces | Hot Sauce; Pasta Sauce | 5-36
- pasta & noodles | Pasta & Noodles › Dried Pasta | Dried Pasta; Instant Noodles | 6-40
- rice & grains | Dried Grains & Rice › Rice | Basmati Rice; Quinoa Grain | 7-46
- canned & jarred food | Canned, Jarred & Packaged Foods › Beans | Canned Beans; Jarred Peppers | 6-40
- jams & spreads | Jams, Jellies & Sweet Spreads › Fruit Spreads | Fruit Spread; Peanut Butter | 5-34
- soups & stocks | Soups, Stocks & Broths › Soups | Vegetable Soup; Bone Broth | 6-44

= grocery : pantry : Grocery & Gourmet Food › Breakfast & Baking
is gluten free, whole grain, high protein, grain free, non gmo, sugar free, quick cooking, easy (to) use
with real honey, maple syrup, high fiber, natural ingredients, chia seeds
for home baking, birthday cake, school breakfast, camping trip
- breakfast cereal | Breakfast Foods › Cereals › Granola | Crunchy Granola; Corn Cereal | 6-36
- baking mixes | Cooking & Baking › Baking Mixes | Pancake Mix; Brownie Mix | 5-34
- flours & meals | Cooking & Baking › Flours & Meals | Almond Flour; Baking Flour | 6-38
- sugars & sweeteners | Cooking & Baking › Syrups, Sugars & Sweeteners | Coffee Syrup; Sweetener Packets | 6-34
- frosting & sprinkles | Cooking & Baking › Frosting, Icing & Decorations | Cake Sprinkles; Icing Kit | 5-28

= grocery : pantry : Grocery & Gourmet Food › Fresh & Prepared Foods
is fully cooked, ready (to) eat, high protein, keto friendly, gluten free, wild caught, grass fed
with sea salt, olive oil, smoked paprika, no preservatives
for quick dinner, camping trip, gift basket, holiday meal
- meat & jerky | Meat Snacks › Jerky | Beef Jerky; Turkey Sticks | 7-48
- seafood | Seafood › Canned | Tuna Pouches; Smoked Salmon | 8-60
- cheese & dairy | Dairy, Cheese & Eggs › Cheese | Cheese Crisps; Cheddar Block | 8-46
- prepared meals | Prepared Meals & Sides | Meal Bowl; Heat and Serve Curry | 8-52
- gift baskets | Food & Beverage Gifts › Snack Gifts | Snack Gift Box; Fruit and Nut Gift Tray | 20-95
- fresh fruits & vegetables | Produce › Dried | Dried Mango; Dried Mushrooms | 7-44
"""
