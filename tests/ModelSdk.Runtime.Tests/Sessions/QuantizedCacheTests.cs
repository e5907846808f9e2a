using ModelSdk.Runtime.Tests.Decoding;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Sessions;

public sealed class Int8TokenCacheTests(Int8Bundle bundle) : TokenCacheTests(bundle), IClassFixture<Int8Bundle>;

public sealed class Int8BatchCacheTests(Int8Bundle bundle) : BatchCacheTests(bundle), IClassFixture<Int8Bundle>;

public sealed class Int4BatchCacheTests(Int4Bundle bundle) : BatchCacheTests(bundle), IClassFixture<Int4Bundle>;

public sealed class Int8BatchDecoderTests(Int8Bundle bundle) : BatchDecoderTests(bundle), IClassFixture<Int8Bundle>;

public sealed class Int8ConversationTests(Int8Bundle bundle) : ConversationTests(bundle), IClassFixture<Int8Bundle>;

public sealed class Int8SpeculationTests(Int8Bundle bundle) : SpeculationTests(bundle), IClassFixture<Int8Bundle>;

public sealed class Int4SpeculationTests(Int4Bundle bundle) : SpeculationTests(bundle), IClassFixture<Int4Bundle>;
