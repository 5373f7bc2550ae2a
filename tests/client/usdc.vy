# pragma version ^0.4.0
# A token with EIP-3009 transfers, as USDC has them: enough of it to settle a payment.

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

CHAIN: constant(uint256) = 84532
DOMAIN: constant(bytes32) = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
TRANSFER: constant(bytes32) = keccak256("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)")

balanceOf: public(HashMap[address, uint256])
authorizationState: public(HashMap[address, HashMap[bytes32, bool]])

@external
@view
def name() -> String[4]:
    return "USDC"

@external
@view
def version() -> String[1]:
    return "2"

@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount

@external
def transferWithAuthorization(
    sender: address, to: address, amount: uint256, after: uint256, before: uint256, nonce: bytes32, v: uint8, r: bytes32, s: bytes32
):
    assert block.timestamp > after, "not yet valid"
    assert block.timestamp < before, "expired"
    assert not self.authorizationState[sender][nonce], "authorization is used or canceled"
    domain: bytes32 = keccak256(abi_encode(DOMAIN, keccak256("USDC"), keccak256("2"), CHAIN, self))
    transfer: bytes32 = keccak256(abi_encode(TRANSFER, sender, to, amount, after, before, nonce))
    digest: bytes32 = keccak256(concat(b"\x19\x01", domain, transfer))
    assert ecrecover(digest, convert(v, uint256), convert(r, uint256), convert(s, uint256)) == sender, "invalid signature"
    self.authorizationState[sender][nonce] = True
    self.balanceOf[sender] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=sender, receiver=to, amount=amount)
